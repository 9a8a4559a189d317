"""The commands of operators, in this process: starting a program for each takes most of a test's time."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass
from typing import Any
from unittest import mock

from services.__main__ import main
from tests.support.workers import environment, services


@dataclass(frozen=True)
class Done:
    """What a command returned and printed."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments: str, **settings: Any) -> Done:
    """Run `python -m services …`; one with a failpoint, which kills it, in a process of its own."""
    if "failpoint" in settings:
        ended = services(*arguments, **settings)
        return Done(ended.returncode, ended.stdout, ended.stderr)
    out, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in "12")
    with (
        mock.patch.dict(os.environ, environment(**settings), clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        try:
            code = main(arguments)
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
    return Done(code, _text(out), _text(errors))


def _text(written: io.TextIOWrapper) -> str:
    buffer = written.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()
