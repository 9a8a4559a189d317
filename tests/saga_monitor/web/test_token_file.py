"""A token in a file can be changed while the page is served."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest

from choregraphie import read_settings
from saga_monitor.cli.serve import newer_token
from saga_monitor.cli.serve_options import with_arguments
from saga_monitor.web import access as guard
from saga_monitor.web.access import Access
from tests.saga_monitor.web.served import served
from tests.support.http_get import get

if TYPE_CHECKING:
    from pathlib import Path

    from choregraphie import Settings
    from tests.saga_monitor.memory_stream import Stream
    from tests.saga_monitor.web.served import Served


def settings_of(file: Path, token: str | None = None) -> Settings:
    settings = read_settings({"SAGA_MONITOR_TOKEN_FILE": str(file)})
    return with_arguments(settings, argparse.Namespace(host=None, port=None, token=token))


def access_of(settings: Settings) -> Access:
    return Access.at("127.0.0.1", settings.monitor_token, (), lambda: newer_token(settings))


def status(site: Served, token: str) -> int:
    return get(site.at("/api/report"), headers={"authorization": f"Bearer {token}"}).status_code


def test_a_changed_token_is_taken_up_and_the_old_one_is_refused(
    tmp_path: Path, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "READ_AGAIN_SECONDS", 0.0)
    file = tmp_path / "token"
    file.write_text("first-token\n")
    with served(tmp_path / "monitor.sqlite3", stream, access_of(settings_of(file))) as site:
        assert status(site, "first-token") == 200
        assert status(site, "second-token") == 401
        file.write_text("second-token\n")
        assert status(site, "second-token") == 200
        assert status(site, "first-token") == 401


@pytest.mark.parametrize("content", [None, "", "x" * 501])
def test_a_file_without_a_token_that_can_be_used_leaves_the_old_one(
    tmp_path: Path, content: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "READ_AGAIN_SECONDS", 0.0)
    file = tmp_path / "token"
    file.write_text("first-token")
    access = access_of(settings_of(file))
    file.unlink()
    if content is not None:
        file.write_text(content)
    assert not access.opens(content.encode() if content else b"")
    assert access.opens(b"first-token")


def test_wrong_tokens_do_not_read_the_file_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first-token")
    access = access_of(settings_of(file))
    assert not access.opens(b"wrong")
    file.write_text("second-token")
    assert not access.opens(b"second-token")


def test_a_token_of_the_command_line_is_not_replaced_by_that_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "READ_AGAIN_SECONDS", 0.0)
    file = tmp_path / "token"
    file.write_text("in-the-file")
    access = access_of(settings_of(file, "given"))
    assert not access.opens(b"in-the-file")
    assert access.opens(b"given")
