"""Each import contract of pyproject.toml fails when an import breaks it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]

# By the name of a contract: a module, and an import in it that the contract forbids.
VIOLATIONS = {
    "The whole: tests and scripts, monitor and services, contracts, engine": (
        "choregraphie/saga/registry.py",
        "import contracts.choreography",
    ),
    "The engine: each package uses only those below it": (
        "choregraphie/storage/inbox.py",
        "import choregraphie.pipeline.executor",
    ),
    "The monitor: each package uses only those below it": (
        "saga_monitor/analysis/steps.py",
        "import saga_monitor.projection.counters",
    ),
    "The engine and the monitor know no saga of their own": (
        "saga_monitor/reports/report.py",
        "import contracts.order",
    ),
    "What a saga is depends on pydantic alone": ("choregraphie/saga/topology.py", "import structlog"),
    "Only the broker package speaks AMQP": ("choregraphie/pipeline/decoder.py", "import aio_pika"),
    "Only the telemetry package knows OpenTelemetry": (
        "choregraphie/storage/batch.py",
        "import opentelemetry.trace",
    ),
    "Services do not know each other": ("services/stock/rules.py", "import services.paiement.rules"),
    "Rules touch no I/O": ("services/commande/rules.py", "import socket"),
    "The prover reads declarations; it opens no broker and no database": (
        "choregraphie/prover/graph.py",
        "import asyncio",
    ),
    "The simulator speaks to no broker; only the command line knows it": (
        "choregraphie/simulator/clock.py",
        "import aiormq",
    ),
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the linter says of each contract, in a copy of the sources that holds every violation."""
    copy = tmp_path_factory.mktemp("violations")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for package in CONFIGURATION["root_packages"]:
        ignored = shutil.ignore_patterns("__pycache__", "static", "templates", "*.json")
        shutil.copytree(ROOT / package, copy / package, ignore=ignored)
    for module, statement in VIOLATIONS.values():
        with (copy / module).open("a") as source:
            source.write(f"\n{statement}\n")
    command = Path(sys.executable).with_name("lint-imports")
    # An installed copy of the packages must not be read in the place of this one.
    done = subprocess.run(
        [command, "--no-cache"],
        cwd=copy,
        env={"PYTHONPATH": str(copy), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    return {
        name: verdict
        for name in VIOLATIONS
        for verdict in ("KEPT", "BROKEN")
        if any(line.startswith(f"{name} {verdict}") for line in lines)
    }


def test_every_contract_has_a_violation_here() -> None:
    assert {contract["name"] for contract in CONFIGURATION["contracts"]} == {*VIOLATIONS}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_an_import_that_breaks_a_contract_is_found(verdicts: dict[str, str], name: str) -> None:
    assert verdicts[name] == "BROKEN"
