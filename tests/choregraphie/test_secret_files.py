"""A secret in a file is read again when it is refused; what cannot be used leaves the old one in its place."""

from pathlib import Path

import pytest

from choregraphie import read_settings


def test_a_file_that_has_changed_is_taken_up_by_every_copy(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("amqp://u:old@broker.example/")
    settings = read_settings({"SAGA_AMQP_URL_FILE": str(secret)})
    copy = settings.model_copy(update={"monitor_port": 1})
    assert not settings.read_again("amqp_url")
    secret.write_text("amqp://u:new@broker.example/\n")
    assert settings.read_again("amqp_url")
    assert copy.current("amqp_url") == "amqp://u:new@broker.example/"
    assert not settings.read_again("amqp_url")


@pytest.mark.parametrize("content", [b"", b"hush", b"\xff", b"amqp://u:hush@broker.example/?heartbeat=0", None])
def test_a_file_that_cannot_be_used_leaves_the_old_secret(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "url"
    secret.write_text("amqp://u:old@broker.example/")
    settings = read_settings({"SAGA_AMQP_URL_FILE": str(secret)})
    secret.unlink()
    if content is not None:
        secret.write_bytes(content)
    assert not settings.read_again("amqp_url")
    assert settings.current("amqp_url") == "amqp://u:old@broker.example/"
    told = capsys.readouterr().out
    assert "SAGA_AMQP_URL_FILE" in told
    assert "hush" not in told


def test_a_setting_that_is_in_no_file_stays_as_it_is() -> None:
    settings = read_settings({"SAGA_AMQP_URL": "amqp://u:p@broker.example/"})
    assert not settings.read_again("amqp_url")
    assert settings.current("amqp_url") == "amqp://u:p@broker.example/"
