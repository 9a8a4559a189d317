"""An undoing that fails for good: the order is in review, the alert says what to type, and a person ends it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.saga_monitor.alerting.test_alerts_live import serving, webhook_server
from tests.support.free_port import free_port
from tests.support.operator_commands import command
from tests.support.saga_fixture import SERVICES, SPEAKERS, SagaFixture, saga_fixture
from tests.support.workers import ROOT, environment, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.brokers import Broker

EXCHANGES = (
    *(f"{name}.events" for name in (*SPEAKERS, "orchestrateur")),
    *(f"{name}.commands" for name in SERVICES),
)


@pytest.fixture
def saga(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SagaFixture]:
    """The orchestrated saga, in which an answer must come within some seconds."""
    with saga_fixture(
        broker, tmp_path_factory.mktemp("saga"), coordination="orchestration", deadline=3
    ) as started:
        started.start("orchestrateur", "stock", "commande", "notification").await_ready()
        yield started


def in_review(saga: SagaFixture) -> str:
    """An order whose payment fails for good, and its undoing too: `paiement` has set both commands aside."""
    saga.start("paiement", gateway_failure_rate=1).await_ready()
    saga.subscription = saga.foreign_client.subscribe(*EXCHANGES)
    order = saga.order()
    asked = saga.await_events(order, "paiement.rembourser", "orchestrateur.revue_demandee")
    data = asked["orchestrateur.revue_demandee"].json["data"]
    assert data == {"commande_id": order, "etape": "paiement", "attendu": "paiement.rembourse"}
    return order


def test_the_alert_names_the_order_its_step_and_the_command_that_ends_it(
    saga: SagaFixture, tmp_path: Path
) -> None:
    with webhook_server() as (url, told):
        settings = saga.settings | {
            "monitor_database": tmp_path / "monitor.sqlite3",
            "monitor_port": free_port(),
            "alert_webhook": url,
            "alert_repeat": 3600,
        }
        with serving(environment(**settings), tmp_path / "log"):
            order = in_review(saga)
            notice = told_of(told, "opened", tmp_path)
            assert (notice["severity"], notice["service"], notice["orders"]) == ("critical", "paiement", [order])
            sentence = notice["sentence"]
            assert (
                f"{order} is in review: orchestrateur asks for a person, because the undoing of the step"
                in sentence
            )
            assert "its paiement.rembourser is in paiement.dlq: every try failed" in sentence
            shown(settings, order, sentence)

            (typed,) = re.findall(rf"`python -m services (settle {order} --undone paiement [^`]+)`", sentence)
            filled = typed.replace("VALUE", "0").replace("TEXT", "'nothing was taken'")
            done = command(*shlex.split(filled), **saga.settings)
            assert done.returncode == 0, done.stderr
            saga.await_events(order, "paiement.rembourse", "stock.liberer", "stock.libere")
            until(
                lambda: saga.inspect("orchestrateur")["commande"] == {"COMPENSATED": 1, "review": 0}, "it is over"
            )
            told_of(told, "closed", tmp_path)


def told_of(told: list[dict[str, Any]], status: str, folder: Path) -> dict[str, Any]:
    """The notice of that status about the review."""

    def found() -> list[dict[str, Any]]:
        return [one for one in told if (one["kind"], one["status"]) == ("review", status)]

    until(lambda: bool(found()), f"an alert is {status}: {told} {(folder / 'log').read_text()[-3000:]}")
    return found()[0]


def monitor(*arguments: str, **settings: Any) -> str:
    """What a command of the monitor prints."""
    command_line = [sys.executable, "-m", "saga_monitor", *arguments]
    done = subprocess.run(
        command_line,
        cwd=ROOT,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout + done.stderr


def shown(settings: dict[str, Any], order: str, sentence: str) -> None:
    """The commands of the monitor say the same of the order."""
    assert "INTERVENTION" in monitor("list", **settings)
    for command_line in (["show", order], ["list"]):
        assert " ".join(sentence.split()) in " ".join(monitor(*command_line, **settings).split())
    assert "stock ✓ done" in " ".join(monitor("show", order, **settings).split()), "it is undone after paiement"
    assert " review " in monitor("anomalies", **settings)
