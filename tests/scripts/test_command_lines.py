"""A wrong command line gives one line and exit code 2. Neither it nor --help installs anything."""

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
    """A checkout without a virtual environment."""
    (checkout / ".venv").unlink()
    return checkout


def run(checkout: Path, command: Sequence[str], **settings: str) -> subprocess.CompletedProcess[str]:
    # The Python below the virtual environment has the standard library alone.
    bare = os.pathsep.join([str(Path(sys.executable).resolve().parent), "/usr/bin", "/bin"])
    env = environ(PATH=bare, **settings)
    env = {key: value for key, value in env.items() if key != "VIRTUAL_ENV"}
    return subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, timeout=120, check=False)


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
def test_a_wrong_command_line_is_one_line_and_installs_nothing(command: list[str], fresh: Path) -> None:
    result = run(fresh, command)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1), result.stderr
    assert result.stderr.startswith(command[0])
    assert not (fresh / ".venv").exists()
    assert not (fresh / "var").exists()


@pytest.mark.parametrize("seconds", ["soon", "nan", "inf", "-1", ""])
def test_ready_rejects_what_is_no_number_of_seconds(seconds: str, checkout: Path) -> None:
    result = run(checkout, [sys.executable, "-m", "services", "ready", "stock", f"--wait={seconds}"])
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1), result.stderr
    assert "is not a number of seconds, such as 30" in result.stderr


@pytest.mark.parametrize(
    ("file", "found", "changed", "problem"),
    [
        (
            "contracts/choreography.py",
            'decider="commande"',
            'decider="comande"',
            "services: application services, saga commande: no service is named comande (its decider); correct the"
            " name, or add the service to services=(…)\n",
        ),
        (
            "services/stock/rules.py",
            "def ",
            "1 / 0\n\n\ndef ",
            "services: services.application cannot be imported: ZeroDivisionError: division by zero (",
        ),
    ],
    ids=["a declaration", "an exception"],
)
def test_declarations_that_do_not_hold_are_one_line(
    file: str, found: str, changed: str, problem: str, checkout: Path
) -> None:
    source = checkout / file
    source.write_text(source.read_text(encoding="utf-8").replace(found, changed, 1), encoding="utf-8")
    result = run(checkout, [sys.executable, "-m", "services", "run", "all"])
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1), result.stderr
    assert result.stderr.startswith(problem)
    assert not (checkout / "var").exists()


def test_a_wrong_option_of_the_readme_generator_is_one_line(checkout: Path) -> None:
    result = run(checkout, [sys.executable, "scripts/generate_readme.py", "--chek"])
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1), result.stderr
    assert result.stderr.startswith("scripts/generate_readme.py: ")


@pytest.mark.parametrize("command", ["demo", "test", "check", "lock", "rabbitmq", "bench"])
def test_help_installs_nothing(command: str, fresh: Path) -> None:
    result = run(fresh, [f"scripts/{command}", "--help"])
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout
    assert not (fresh / ".venv").exists()


def test_an_idle_stop_installs_nothing(fresh: Path) -> None:
    result = run(fresh, ["scripts/demo", "--stop"])
    assert (result.returncode, result.stdout, result.stderr) == (0, "No demonstration was left up.\n", "")
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
def test_a_python_without_the_packages_gets_one_line_with_the_remedy(command: list[str]) -> None:
    # -S: without site-packages, like the system's Python.
    bare = [sys.executable, "-S", "-c", AS_A_COMMAND, *command]
    result = subprocess.run(bare, cwd=ROOT, env=environ(), capture_output=True, text=True, timeout=90, check=False)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1), result.stderr
    assert "'. .venv/bin/activate' enters it" in result.stderr


# `python -S FILE` alone is not enough: pyvenv.cfg puts site-packages back.
AS_A_COMMAND = """\
import runpy, sys
module = sys.argv[1] == "-m"
sys.argv[:] = sys.argv[2:] if module else sys.argv[1:]
sys.path.insert(0, "")
runpy.run_module(sys.argv[0], run_name="__main__") if module else runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_the_status_of_a_stopped_node_is_exit_code_1(checkout: Path) -> None:
    result = run(checkout, ["scripts/rabbitmq", "status"])
    assert (result.returncode, result.stderr) == (1, "")
    assert "not running" in result.stdout
    assert run(checkout, ["scripts/rabbitmq", "status", "--json"]).returncode == 1
