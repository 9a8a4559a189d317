"""The voyage: its own tests pass in a project of its own, and it is written with the library alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.workers import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
VOYAGE = ROOT / "examples" / "voyage"
OWN = {"voyage", "choregraphie"}
# The application's, the monitor's and the tests' own.
ELSEWHERE = {"contracts", "services", "scripts", "tests", "saga_monitor"}


def run_tests(name: str, **more: str) -> None:
    """Run one file of the example's tests, in its folder and with its settings."""
    # The library is not installed where it is developed: neither its plugin nor its folder is known by itself.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", f"tests/{name}"]
    command += ["-p", "choregraphie.testing.plugin"]
    known = environment() | {"PYTHONPATH": str(ROOT)} | more
    done = subprocess.run(command, cwd=VOYAGE, env=known, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name",
    [
        "test_voyage_services.py",
        "test_voyage_agence.py",
        "test_voyage_invariants.py",
        "test_voyage_saga.py",
        "test_voyage_orchestrated.py",
    ],
)
def test_its_tests_without_a_broker_pass(name: str) -> None:
    run_tests(name)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["test_voyage_live.py", "test_voyage_orchestrated_live.py"])
def test_its_tests_on_a_real_broker_pass(name: str, amqp_url: str) -> None:
    run_tests(name, SAGA_TEST_AMQP_URL=amqp_url)


@pytest.mark.parametrize("coordination", ["choreography", "orchestration"])
def test_the_demonstration_brings_a_voyage_to_every_end(coordination: str, amqp_url: str) -> None:
    command = [sys.executable, "-m", "voyage", "demo"]
    known = environment(amqp_url=amqp_url, coordination=coordination) | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=VOYAGE, env=known, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All 7 voyages ended as they should." in done.stdout


def test_the_demonstration_refuses_what_it_does_not_know() -> None:
    refused = subprocess.run([VOYAGE / "demo", "--fast"], capture_output=True, text=True, timeout=120, check=False)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)


def imported() -> Iterator[tuple[str, str]]:
    """Each file of the example, with the top of each module that it imports."""
    for file in sorted(VOYAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            yield from ((file.name, str(name).partition(".")[0]) for name in names)


def test_it_is_written_with_the_library_alone() -> None:
    assert {(file, top) for file, top in imported() if top in ELSEWHERE} == set()
    assert {top for _, top in imported()} >= OWN
