"""A command line that cannot be meant is one line and exit code 2; it installs nothing, and neither does help."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.scripts.conftest import ROOT, environ

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture
def fresh(checkout: Path) -> Path:
    """A checkout whose environment was never made."""
    (checkout / ".venv").unlink()
    return checkout


def run(checkout: Path, command: Sequence[str], **settings: str) -> subprocess.CompletedProcess[str]:
    # The Python behind this environment has what it came with, and no more.
    bare = os.pathsep.join([str(Path(sys.executable).resolve().parent), "/usr/bin", "/bin"])
    where = environ(PATH=bare, **settings)
    where = {key: value for key, value in where.items() if key != "VIRTUAL_ENV"}
    return subprocess.run(
        command, cwd=checkout, env=where, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "command",
    [
        ["scripts/demo", "--hlep"],
        ["scripts/demo", "--kee"],
        ["scripts/demo", "--keep", "--stop"],
        ["scripts/rabbitmq"],
        ["scripts/rabbitmq", "begin"],
        ["scripts/rabbitmq", "start", "--wipe"],
        ["scripts/rabbitmq", "start", "--name", "É t@t"],
        ["scripts/bench"],
        ["scripts/bench", "nothing"],
    ],
)
def test_a_mistake_is_one_line_and_makes_nothing(command: list[str], fresh: Path) -> None:
    done = run(fresh, command)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith(command[0])
    assert not (fresh / ".venv").exists()
    assert not (fresh / "var").exists()


@pytest.mark.parametrize("seconds", ["soon", "nan", "inf", "-1", ""])
def test_ready_waits_for_a_number_of_seconds(seconds: str, checkout: Path) -> None:
    done = run(checkout, [sys.executable, "-m", "services", "ready", "stock", f"--wait={seconds}"])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "is not a number of seconds, such as 30" in done.stderr


def test_a_mistake_to_the_generator_of_the_readme_is_one_line(checkout: Path) -> None:
    done = run(checkout, [sys.executable, "scripts/generate_readme.py", "--chek"])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("scripts/generate_readme.py: ")


@pytest.mark.parametrize("command", ["demo", "test", "check", "lock", "rabbitmq", "bench"])
def test_help_is_free(command: str, fresh: Path) -> None:
    done = run(fresh, [f"scripts/{command}", "--help"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    assert not (fresh / ".venv").exists()


def test_nothing_to_stop_is_said_at_once(fresh: Path) -> None:
    done = run(fresh, ["scripts/demo", "--stop"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "No demonstration was left up.\n", "")
    assert not (fresh / ".venv").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "services", "run", "stock"],
        ["-m", "saga_monitor"],
        ["scripts/generate_readme.py"],
        ["scripts/passer_commande.py"],
    ],
)
def test_a_python_without_the_requirements_is_told_how_to_get_them(command: list[str]) -> None:
    # Without site-packages, as the system's own Python is.
    bare = [sys.executable, "-S", "-c", AS_A_COMMAND, *command]
    done = subprocess.run(bare, cwd=ROOT, env=environ(), capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "'. .venv/bin/activate' enters it" in done.stderr


# `python -S ...` would do, were it not for what an environment's own configuration puts back.
AS_A_COMMAND = """\
import runpy, sys
module = sys.argv[1] == "-m"
sys.argv[:] = sys.argv[2:] if module else sys.argv[1:]
sys.path.insert(0, "")
runpy.run_module(sys.argv[0], run_name="__main__") if module else runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_node_that_does_not_run_is_a_no(checkout: Path) -> None:
    done = run(checkout, ["scripts/rabbitmq", "status"])
    assert (done.returncode, done.stderr) == (1, "")
    assert "not running" in done.stdout
    assert run(checkout, ["scripts/rabbitmq", "status", "--json"]).returncode == 1
