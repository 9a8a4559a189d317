"""`./scripts/deployment_secrets` writes each password of a deployment into a file, and keeps those it finds."""

from __future__ import annotations

import base64
import json
import stat
from typing import TYPE_CHECKING

import pytest

from choregraphie.deployment.definitions import password_hash
from scripts import container_secrets
from scripts.container_secrets import write_secrets
from services.application import APP

if TYPE_CHECKING:
    from pathlib import Path


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "definitions.json"  # its hashes are salted anew
    }


def test_every_password_is_another_one(secrets: Path) -> None:
    passwords = [text for name, text in contents(secrets).items() if not name.endswith("-url")]
    assert len(passwords) == len({*passwords}) == 16
    assert min(map(len, passwords)) >= 43  # 256 bits


def test_the_urls_hold_the_passwords(secrets: Path) -> None:
    found = contents(secrets)
    assert found["stock/amqp-url"].strip() == f"amqp://stock:{found['stock/password'].strip()}@rabbitmq:5672/"
    assert found["stock/database-url"].strip() == (
        f"postgresql://stock:{found['postgres/stock'].strip()}@postgres/stock?sslmode=disable"
    )


def test_a_second_run_changes_nothing_and_replaces_what_was_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    write_secrets(APP, folder, "broker", "postgres")
    first = contents(folder)
    assert write_secrets(APP, folder, "broker", "postgres") == []
    assert contents(folder) == first
    (folder / "stock" / "password").unlink()
    assert write_secrets(APP, folder, "broker", "postgres") == ["stock/password"]
    changed = {name for name, text in contents(folder).items() if text != first[name]}
    assert changed == {"stock/password", "stock/amqp-url", "stock/management-url"}


def test_a_password_of_ones_own_is_escaped_in_the_urls(tmp_path: Path) -> None:
    for place in ("stock/password", "postgres/stock"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text("a/b@c:d\n")
    write_secrets(APP, tmp_path, "broker", "postgres")
    found = contents(tmp_path)
    assert found["stock/amqp-url"] == "amqp://stock:a%2Fb%40c%3Ad@broker:5672/\n"
    assert found["stock/database-url"].startswith("postgresql://stock:a%2Fb%40c%3Ad@postgres/")


@pytest.mark.parametrize("content", ["", "\n", "sésame"])
def test_what_is_no_password_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "stock").write_text(content)
    monkeypatch.setattr("sys.argv", ["deployment_secrets", "--into", str(tmp_path)])
    assert container_secrets.main() == 2
    said = capsys.readouterr().err
    assert (said.count("\n"), "postgres/stock: " in said) == (1, True)


def test_the_files_are_for_containers_and_the_folder_for_its_owner(secrets: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in secrets.rglob("*") if path.is_file()}
    assert (stat.S_IMODE(secrets.stat().st_mode), modes) == (0o700, {0o444})


def test_the_broker_gets_the_users_and_no_queue(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads((secrets / "rabbitmq" / "definitions.json").read_text())
    hashes = {user["name"]: user["password_hash"] for user in document["users"]}
    assert hashes.keys() == {*APP.own, "client", "monitor", "ops", "deployer"}
    # On a cluster that is being formed a queue would get its first node alone.
    assert "queues" not in document
    for name, hashed in hashes.items():
        salt = base64.b64decode(hashed)[:4]
        monkeypatch.setattr("secrets.token_bytes", lambda _, salt=salt: salt)
        assert hashed == password_hash((secrets / name / "password").read_text().strip())


def test_a_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("sys.argv", ["deployment_secrets", "--into", str(tmp_path / "file")])
    assert container_secrets.main() == 2
    assert capsys.readouterr().err.count("\n") == 1
