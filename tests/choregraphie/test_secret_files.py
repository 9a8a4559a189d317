"""A secret in a file is read again when it is refused; an unusable value leaves the old one."""

from pathlib import Path

import pytest

from choregraphie import BadSetting, Settings, read_settings
from choregraphie.settings import read_settings_as
from services.application import APP


def test_a_changed_file_is_read_for_every_copy(tmp_path: Path) -> None:
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
    output = capsys.readouterr().out
    assert "SAGA_AMQP_URL_FILE" in output
    assert "hush" not in output


def test_a_file_is_read_again_beside_a_setting_that_has_no_default(tmp_path: Path) -> None:
    class WithKey(Settings):
        api_key: str

    secret = tmp_path / "url"
    secret.write_text("amqp://u:old@broker.example/")
    settings = read_settings_as(WithKey, {"SAGA_API_KEY": "k", "SAGA_AMQP_URL_FILE": str(secret)})
    secret.write_text("amqp://u:hush@broker.example/?heartbeat=0")
    assert not settings.read_again("amqp_url")
    secret.write_text("amqp://u:new@broker.example/")
    assert settings.read_again("amqp_url")


def test_a_copy_with_a_value_of_its_own_keeps_it(tmp_path: Path) -> None:
    """A relay beside a worker has its own database, whatever the worker's file says later."""
    secret = tmp_path / "url"
    secret.write_text("sqlite:///old.sqlite3")
    settings = read_settings({"SAGA_DATABASE_URL_FILE": str(secret)})
    relay = settings.model_copy(update={"database_url": "sqlite:///relay.sqlite3"}).without_files(["database_url"])
    secret.write_text("sqlite:///new.sqlite3")
    assert settings.read_again("database_url")
    assert relay.current("database_url") == "sqlite:///relay.sqlite3"


def test_a_setting_that_is_in_no_file_stays_as_it_is() -> None:
    settings = read_settings({"SAGA_AMQP_URL": "amqp://u:p@broker.example/"})
    assert not settings.read_again("amqp_url")
    assert settings.current("amqp_url") == "amqp://u:p@broker.example/"


@pytest.mark.parametrize("setting", ["database_url", "management_url", "alert_webhook", "monitor_token"])
def test_an_empty_file_leaves_the_old_secret(tmp_path: Path, setting: str) -> None:
    """A file that is written in place is empty for a moment."""
    secret = tmp_path / "secret"
    secret.write_text("https://u:old@there.example/")
    settings = APP.read_settings({f"SAGA_{setting.upper()}_FILE": str(secret)})
    secret.write_text("\n")
    assert not settings.read_again(setting)
    assert settings.current(setting) == "https://u:old@there.example/"


def test_a_value_that_the_caller_cannot_use_leaves_the_old_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "gateway"
    secret.write_text("https://u:old@there.example/")
    settings = APP.read_settings({"SAGA_GATEWAY_FILE": str(secret)})
    secret.write_text("simulated")

    def check(value: str) -> None:
        raise BadSetting(f"SAGA_GATEWAY: {value} only after a restart")

    assert not settings.read_again("gateway", check)
    assert settings.current("gateway") == "https://u:old@there.example/"
    assert "SAGA_GATEWAY: simulated only after a restart" in capsys.readouterr().out
