"""What the encoding of an output lacks is written as an escape, by every command line."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.workers import ROOT

COMMANDS = [
    ["-m", "services", "--help"],
    ["-m", "saga_monitor", "--help"],
    ["scripts/passer_commande.py", "--help"],
    ["-c", "from choregraphie.cli.command import start; start()", "--help"],
    ["-m", "services", "choreography", "steps"],
]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_output_in_ascii_takes_every_text(command: list[str]) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "SAGA_COORDINATION": "orchestration"}
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode("ascii")
