"""The demonstration runs to its end, reports every difference, and leaves nothing running."""

from __future__ import annotations

import dataclasses
import io
import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from contracts.choreography import CHOREOGRAPHY
from scripts.demonstration import checks, scenarios
from scripts.demonstration.scenarios import ALL, SCENARIOS
from scripts.demonstration.summary import show_orders
from tests.scripts.conftest import environ

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.nemesis.management import Management

DEMO = [sys.executable, "-m", "scripts.demonstration"]


def processes_of(checkout: Path) -> list[str]:
    """The command lines of the processes whose working directory is that folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == checkout:
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return found


def assert_nothing_is_left(checkout: Path, management: Management) -> None:
    left = [path.name for path in (checkout / "var").iterdir()]
    assert (left, processes_of(checkout), management.queues(), management.exchanges()) == ([], [], [], [])


def test_every_order_ends_as_expected_and_nothing_is_left_running(
    checkout: Path, amqp_url: str, management: Management
) -> None:
    env = environ(SAGA_AMQP_URL=amqp_url)
    result = subprocess.run(DEMO, cwd=checkout, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"All {len(ALL)} orders ended as they should" in result.stdout
    assert f"{len(ALL)} orders, 0 lost, 0 carried out twice (counted in the 4 databases" in result.stdout
    assert "WORKER KILLED" in result.stdout
    # A given broker is not killed.
    assert "BROKER KILLED" not in result.stdout
    assert "is not killed" in result.stdout
    for scenario in SCENARIOS:
        assert f"\t{scenario.commande_id}\t{scenario.state}\t" in result.stdout
    assert_nothing_is_left(checkout, management)


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("The broker answers", id="while the workers are started"),
        pytest.param("CMD-HORS-DELAI", id="while the monitor is started"),
        # A paused worker must be resumed before it can end.
        pytest.param("] paiement is paused;", id="while a worker is paused"),
    ],
)
def test_an_interruption_leaves_nothing_running(
    moment: str, checkout: Path, amqp_url: str, management: Management
) -> None:
    env = environ(SAGA_AMQP_URL=amqp_url)
    with subprocess.Popen(DEMO, cwd=checkout, env=env, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        while moment not in running.stdout.readline():
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=90)
    assert running.returncode == 128 + signal.SIGINT
    assert_nothing_is_left(checkout, management)


def test_a_demonstration_left_running_can_be_used_and_stopped(
    checkout: Path, amqp_url: str, management: Management
) -> None:
    env = environ(SAGA_AMQP_URL=amqp_url)

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=checkout, env=env, capture_output=True, text=True, timeout=300, check=False
        )

    started = run(*DEMO, "--keep")
    assert started.returncode == 0, started.stderr
    assert run(*DEMO, "--keep").returncode == 2
    settings = next(line.strip() for line in started.stdout.splitlines() if line.strip().startswith(". var/"))
    page = next(line.strip() for line in started.stdout.splitlines() if line.strip().startswith("http://"))
    with urllib.request.urlopen(page, timeout=20) as answer:
        assert b"CMD-CREEE" in answer.read()
    used = run("bash", "-c", f"{settings}; python scripts/passer_commande.py && python -m saga_monitor list")
    assert used.returncode == 0, used.stderr
    assert f"{len(ALL) + 1} orders" in used.stdout
    assert run(*DEMO, "--stop").returncode == 0
    assert_nothing_is_left(checkout, management)


@pytest.mark.parametrize(
    ("arguments", "moment"),
    [
        pytest.param([], "A broker ...", id="at the beginning"),
        # Everything runs already, but the instructions reach nobody.
        pytest.param(["--keep"], "That took", id="before it is left running"),
    ],
)
def test_a_closed_output_pipe_leaves_nothing_running(
    arguments: list[str], moment: str, checkout: Path, amqp_url: str, management: Management
) -> None:
    env = environ(SAGA_AMQP_URL=amqp_url)
    command = [*DEMO, *arguments]
    with subprocess.Popen(
        command, cwd=checkout, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        while moment not in running.stdout.readline():
            assert running.poll() is None
        running.stdout.close()
        assert running.stderr is not None
        assert "Traceback" not in running.stderr.read()
    assert running.returncode > 128
    assert_nothing_is_left(checkout, management)


def test_a_virtual_host_that_has_a_saga_is_not_touched(checkout: Path, silent_url: str) -> None:
    env = environ(SAGA_AMQP_URL=silent_url)
    result = subprocess.run(DEMO, cwd=checkout, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 2
    assert "has a saga in it already" in result.stderr
    assert list((checkout / "var").iterdir()) == []


def test_an_unreachable_broker_is_one_line(checkout: Path) -> None:
    """The client library once logged a line of its own."""
    env = environ(SAGA_AMQP_URL="amqp://guest:guest@127.0.0.1:1/")
    result = subprocess.run(DEMO, cwd=checkout, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("The broker of SAGA_AMQP_URL cannot be used: ")


def expected_state() -> dict[str, Any]:
    """The final state without differences, worked out by hand from the shipped catalogue."""
    orders = {}
    for scenario in SCENARIOS:
        events = [{"type": "commande.annulee", "note": scenario.raison}] if scenario.raison else []
        events += [{"type": "notification.envoyee", "note": message} for message in scenario.messages]
        orders[scenario.commande_id] = {
            "state": "COMPENSATED" if scenario.raison else "COMPLETED",
            "flags": [],
            "remaining": [],
            "dead_letters": 0,
            "events": events,
            "steps": [{"step": step.service, "state": "compensated"} for step in CHOREOGRAPHY.steps],
            "duration_ms": 12_345.6,
        }
    states = ("new", "running", "failed", "compensating", "stuck", "intervention")
    sagas = dict.fromkeys(states, 0) | {"total": 10, "completed": 4, "compensated": 6}
    return {
        "orders": orders,
        "report": {"sagas": sagas, "compensations": 6, "dead_letters": {}},
        "services": {
            "produits": {
                "PROD-456": {"initial": 1000, "disponible": 992, "retenu": 0, "vendu": 8},
                "PROD-999": {"initial": 3, "disponible": 3, "retenu": 0, "vendu": 0},
            },
            "comptes": {
                "CLIENT-123": {"initial": 100000.0, "solde": 99900.01},
                "CLIENT-456": {"initial": 5000.0, "solde": 4880.6},
                "CLIENT-999": {"initial": 20.0, "solde": 20.0},
            },
            "mouvements": {"debits": {"montant": 614.89}, "remboursements": {"montant": 395.5}},
            "commandes": {"total": 10, "en_attente": 0, "creees": 4, "annulees": 6},
            "messages": {"confirmation": 5, "annulation": 5, "rectificatif": 1},
        },
    }


def differences(final_state: dict[str, Any]) -> list[str]:
    return checks.differences(
        SCENARIOS, checks.FinalState(final_state["orders"], final_state["report"], final_state["services"])
    )


@pytest.mark.parametrize("width", [80, 150, 180])
def test_an_id_is_whole_in_a_table_of_any_width(width: int) -> None:
    final_state = checks.FinalState(**expected_state())
    console = Console(file=io.StringIO(), width=width)
    show_orders(console, SCENARIOS, final_state)
    assert isinstance(console.file, io.StringIO)
    assert all(f"{scenario.commande_id} " in console.file.getvalue() for scenario in SCENARIOS)


def test_the_expected_state_has_no_difference() -> None:
    assert differences(expected_state()) == []


def _order(final_state: dict[str, Any]) -> dict[str, Any]:
    order: dict[str, Any] = final_state["orders"][scenarios.PAST_DEADLINE.commande_id]
    return order


@pytest.mark.parametrize(
    ("corrupt", "prefix"),
    [
        (lambda state: _order(state).update(state="COMPENSATING"), "CMD-HORS-DELAI: state"),
        (lambda state: _order(state).update(flags=["INTERVENTION"]), "CMD-HORS-DELAI: flags"),
        (lambda state: _order(state).update(remaining=["stock.libere"]), "CMD-HORS-DELAI: remaining"),
        (lambda state: _order(state).update(dead_letters=1), "CMD-HORS-DELAI: dead letters"),
        (lambda state: _order(state)["events"].pop(), "CMD-HORS-DELAI: messages"),
        (lambda state: _order(state)["events"].pop(0), "CMD-HORS-DELAI: reason"),
        (lambda state: state["report"]["sagas"].update(stuck=1), "report: stuck"),
        (lambda state: state["report"].update(compensations=5), "report: compensations"),
        (
            lambda final_state: final_state["services"]["produits"]["PROD-456"].update(retenu=2),
            "stock, PROD-456: retenu",
        ),
        (
            lambda final_state: final_state["services"]["comptes"]["CLIENT-123"].update(solde=1.0),
            "paiement, CLIENT-123: solde",
        ),
        (
            lambda final_state: final_state["services"]["mouvements"]["debits"].update(montant=600),
            "paiement: taken",
        ),
        (lambda state: state["services"]["commandes"].update(en_attente=1), "commande: en_attente"),
        (
            lambda final_state: final_state["services"]["messages"].update(rectificatif=0),
            "notification: rectificatif",
        ),
    ],
)
def test_each_difference_is_named(corrupt: Callable[[dict[str, Any]], Any], prefix: str) -> None:
    final_state = json.loads(json.dumps(expected_state()))
    corrupt(final_state)
    found = differences(final_state)
    assert len(found) == 1
    assert found[0].startswith(prefix)


def test_the_orders_cover_every_way_to_end() -> None:
    """Every reason and every mail template of the saga, with a description for each order."""
    reasons = {scenario.raison for scenario in SCENARIOS}
    assert {None, "client bloqué", "délai dépassé", "demande du client", "solde insuffisant"} < reasons
    assert {message for scenario in SCENARIOS for message in scenario.messages} == {
        *("confirmation", "annulation", "rectificatif"),
    }
    assert len({scenario.commande_id for scenario in SCENARIOS}) == len(SCENARIOS)
    assert all(dataclasses.asdict(scenario)["about"] for scenario in SCENARIOS)
