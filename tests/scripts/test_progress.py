"""The progress of a long command on a terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scripts.progress import phases

if TYPE_CHECKING:
    import pytest


def test_a_narrow_terminal_cuts_the_phase_and_not_the_times(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with phases("a benchmark", 300) as shown:
        shown.begin("a phase whose description alone is longer than a narrow terminal is wide")
    assert re.search(r"0:00:\d\d of about 5 min a phase whose description", _plain(capsys.readouterr().err))


def _plain(text: str) -> str:
    return " ".join(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).split())
