"""A program imports structlog without rich, and rich stays importable; where one is imported, nothing changes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.workers import ROOT, environment

SHOWN = "; import sys, structlog; print('rich' in sys.modules, structlog.dev.rich is None); import rich.traceback"


@pytest.mark.parametrize(
    ("before", "shown"),
    [("", "False True"), ("import rich; ", "True False"), ("import structlog; ", "True False")],
)
def test_structlog_is_imported_without_rich_unless_one_of_them_is_there(before: str, shown: str) -> None:
    script = f"{before}from choregraphie.plain_structlog import import_structlog; import_structlog(){SHOWN}"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == shown
