"""A command that is started in a folder that was deleted says so in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.workers import ROOT, environment

COMMAND = ["-c", "from choregraphie.cli.command import start; start()"]
SERVICES, MONITOR = ["-m", "services"], ["-m", "saga_monitor"]


def run_in_a_deleted_folder(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    return subprocess.run(
        ["/bin/sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", sys.executable, *arguments],
        cwd=folder,
        env=environment(app="services.application:APP") | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("services", [*SERVICES, "run", "stock"]),
        ("services", [*SERVICES, "inspect", "stock"]),
        ("services", [*SERVICES, "choreography", "generate", "--into", "docs"]),
        ("saga_monitor", MONITOR),
        ("saga_monitor", [*MONITOR, "list"]),
        ("saga_monitor", [*MONITOR, "serve"]),
        ("saga_monitor", [*COMMAND, "monitor", "list"]),
        ("choregraphie", [*COMMAND, "check"]),
        ("choregraphie", [*COMMAND, "new", "boutique"]),
    ],
)
def test_a_deleted_working_directory_is_one_line(program: str, arguments: list[str], tmp_path: Path) -> None:
    done = run_in_a_deleted_folder(tmp_path / "gone", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{program}: the working directory was deleted; change to one that exists\n"


@pytest.mark.parametrize("arguments", [[*COMMAND, "--help"], [*SERVICES, "--help"], [*MONITOR, "--help"]])
def test_help_needs_no_working_directory(arguments: list[str], tmp_path: Path) -> None:
    assert run_in_a_deleted_folder(tmp_path / "gone", *arguments).returncode == 0
