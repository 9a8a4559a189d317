"""What operators do about dead letters, with real workers: list, predict, replay, hold, edit, discard, audit."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie import Settings
from choregraphie.broker import dead_letter_queue, open_dead_letters, open_publisher
from choregraphie.dead_letters.audit import Operator
from choregraphie.dead_letters.prediction import Predictor
from choregraphie.dead_letters.selection import Selection
from choregraphie.dead_letters.treatment import Treatment
from choregraphie.saga.topology import WORK_DELIVERY_LIMIT
from services.application import APP
from tests.support.dead_letters import audit, await_count, dlq, letters, reserved, set_aside
from tests.support.operator_commands import command
from tests.support.workers import ROOT, environment, until

if TYPE_CHECKING:
    from tests.support.saga_fixture import SagaFixture


def test_a_given_up_undoing_is_sent_back_and_a_refused_step_is_not(stopped_saga: SagaFixture) -> None:
    saga = stopped_saga
    broken = saga.start("paiement", gateway_failure_rate=1)
    for worker in (broken, saga.start("stock", "commande", "notification")):
        worker.await_ready()
    saga.subscription = saga.foreign_client.subscribe(
        *(f"{name}.events" for name in ("client", "stock", "paiement", "commande"))
    )
    order = saga.order()
    saga.await_events(order, "paiement.echoue", "commande.annulee", "stock.libere")
    await_count(saga, "paiement.dlq", 2)
    by_type = {letter["type"]: letter for letter in letters(saga, "--since", "1h")}
    assert set(by_type) == {"stock.reserve", "commande.annulee"}
    assert {(one["reason"], one["commande_id"], one["service"]) for one in by_type.values()} == {
        ("exhausted", order, "paiement")
    }
    shown = json.loads(dlq(saga, "show", by_type["stock.reserve"]["id"], "--json"))
    assert (shown["replay"]["effect"], shown["copies"]) == ("tombstoned", 1)
    assert broken.end() == 0

    saga.start("paiement").await_ready()
    predicted = json.loads(dlq(saga, "replay", "--all", "--dry-run", "--json", code=1))
    assert (predicted["effects"], predicted["sent"]) == ({"runs": 1, "tombstoned": 1}, 1)
    await_count(saga, "paiement.dlq", 2)
    done = json.loads(dlq(saga, "replay", "--all", "--json", "--because", "the gateway answers", code=1))
    assert (done["sent"], done["refused"]) == (1, 1)
    saga.await_events(order, "paiement.rembourse")
    await_count(saga, "paiement.dlq", 1)
    assert [letter["type"] for letter in letters(saga)] == ["stock.reserve"]

    # Forced, it has no effect: its refusal was said.
    assert "1 sent back" in dlq(saga, "replay", by_type["stock.reserve"]["id"], "--force")
    saga.await_events(saga.order(), "commande.creee")
    assert "paiement.effectue" not in saga.await_events(order)
    assert saga.foreign_client.count("paiement.dlq") == 0
    first, second = audit(saga)
    assert (first["act"], first["because"], first["predicted"]) == ("replayed", "the gateway answers", "runs")
    assert (second["predicted"], second["letter"]) == ("tombstoned", by_type["stock.reserve"]["id"])
    assert "@" in first["by"]


def test_a_discard_ends_the_intervention_that_the_monitor_shows(stopped_saga: SagaFixture, tmp_path: Path) -> None:
    """Of two letters, one the service made and one the broker; the monitor knows both by the operator's ids."""
    saga = stopped_saga
    broken = saga.start("paiement", gateway_failure_rate=1)
    saga.start("stock", "commande", "notification").await_ready()
    broken.await_ready()
    orders = [saga.order()]
    await_count(saga, "paiement.dlq", 2)
    assert broken.end() == 0
    orders.append(saga.order())
    until(lambda: saga.foreign_client.count("paiement.inbox") == 1, "the second order is held by stock")
    saga.foreign_client.refuse("paiement.inbox", WORK_DELIVERY_LIMIT + 1)
    await_count(saga, "paiement.dlq", 3)
    saga.settings["monitor_database"] = str(tmp_path / "monitor.sqlite3")
    assert [flagged(saga, order) for order in orders] == [True, True]
    found = letters(saga)
    assert {letter["reason"] for letter in found} == {"exhausted", "delivery_limit"}
    # Held first, so that its id must survive: RabbitMQ 3.10 keeps no `x-death` in a stream.
    ids = [letter["id"] for letter in found]
    dlq(saga, "hold", *ids, "--because", "asked")
    assert sorted(letter["id"] for letter in letters(saga)) == sorted(ids)
    dlq(saga, "discard", *ids, "--because", "a test of ours")
    assert [flagged(saga, order) for order in orders] == [False, False]


def flagged(saga: SagaFixture, order: str) -> bool:
    """Whether the monitor says that the order needs a person."""
    done = subprocess.run(
        [sys.executable, "-m", "saga_monitor", "show", order, "--json"],
        cwd=ROOT,
        env=environment(**saga.settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return "INTERVENTION" in json.loads(done.stdout)["flags"]


def test_a_crash_between_confirm_and_removal_leaves_a_duplicate_without_effect(stopped_saga: SagaFixture) -> None:
    saga = stopped_saga
    saga.start_all("paiement")
    set_aside(saga.foreign_client, reserved("CMD-1"))
    (letter,) = letters(saga)
    dlq(saga, "replay", letter["id"], code=-9, failpoint="after_letter_confirm")
    saga.subscription.until(lambda received: "paiement.effectue" in [message.key for message in received])
    until(lambda: [one["id"] for one in letters(saga)] == [letter["id"]], "the letter is in its queue again")
    assert json.loads(dlq(saga, "show", letter["id"], "--json"))["replay"]["effect"] == "done"

    dlq(saga, "replay", letter["id"])
    saga.await_events(saga.order(), "commande.creee")
    assert saga.inspect("paiement")["mouvements"]["debits"]["nombre"] == 2
    assert saga.foreign_client.count("paiement.dlq") == 0


async def test_letters_that_come_meanwhile_stay_where_they_are(
    idle_saga: SagaFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More letters than one consumer may hold; while they are sent back, the same service sets others aside."""
    monkeypatch.setattr(dead_letter_queue, "FIRST_PREFETCH", 10)
    saga = idle_saga
    settings = Settings(amqp_url=saga.url, database_url=saga.settings["database_url"])
    for number in range(300):
        set_aside(saga.foreign_client, reserved(f"CMD-{number}"))
    async with (
        open_dead_letters(settings, "test") as queues,
        open_publisher(settings, "test publishes") as publisher,
    ):
        treatment = Treatment(queues, publisher, APP.saga_set, Operator("alice", "guest"))
        sent = 0
        async for batch in treatment.replay(
            Selection(("paiement",)), lambda name: Predictor(APP, name, settings), rate=400
        ):
            sent += sum(1 for one in batch if one.sent)
            set_aside(saga.foreign_client, reserved(f"LATE-{sent}"))
            set_aside(saga.foreign_client, reserved("CMD-0"))
        await queues.flush()
    assert sent == 300
    await asyncio.to_thread(await_count, saga, "paiement.inbox", 300)
    await asyncio.to_thread(await_count, saga, "paiement.dlq", 4)
    found = await asyncio.to_thread(letters, saga)
    assert len(found) == 4
    assert {letter["commande_id"][:4] for letter in found} == {"LATE", "CMD-"}


def test_letters_that_are_not_selected_stay_in_their_sequence(idle_saga: SagaFixture) -> None:
    saga = idle_saga
    for number in range(20):
        reason = "exhausted" if number % 2 else "invalid"
        set_aside(saga.foreign_client, reserved(f"CMD-{number:02}"), headers={"x-saga-reason": reason})
    before = [letter["commande_id"] for letter in letters(saga, "--reason", "exhausted")]
    assert "10 sent back" in dlq(saga, "replay", "--reason", "invalid")
    await_count(saga, "paiement.dlq", 10)
    assert [letter["commande_id"] for letter in letters(saga)] == before
    await_count(saga, "paiement.inbox", 10)


def test_bad_bytes_and_bad_properties_stop_nothing(idle_saga: SagaFixture) -> None:
    saga = idle_saga
    bad: dict[str, dict[str, Any]] = {
        "bytes": {"body": b"\xff\x00\x1b[31m"},
        "huge": {"body": b"x" * 300_000},
        "time": {"body": reserved("CMD-1"), "timestamp": 1_790_000_000_000_000_000},
        "headers": {
            "body": reserved("CMD-2"),
            "headers": {"x-death": "none", "x-saga-detail": b"\xff", "CC": ["#"]},
        },
        "key": {"body": reserved("CMD-3"), "key": "é\x07" * 20},
        "no id": {"body": reserved("CMD-4"), "message_id": None},
        "good": {"body": reserved("CMD-5")},
    }
    for one in bad.values():
        set_aside(saga.foreign_client, **one)
    found = letters(saga)
    assert len(found) == len(bad)
    assert "\x1b" not in dlq(saga, "list") + "".join(dlq(saga, "show", letter["id"]) for letter in found)
    done = json.loads(dlq(saga, "replay", "--all", "--json", code=1))
    assert done["effects"] == {"runs": 5, "set_aside_again": 2}
    await_count(saga, "paiement.inbox", 5)
    await_count(saga, "paiement.dlq", 2)
    assert {letter["size"] for letter in letters(saga)} == {7, 300_000}
    assert "2 sent back" in dlq(saga, "replay", "--all", "--force")
    bodies = [message.body for _ in range(7) if (message := saga.foreign_client.get("paiement.inbox", 90))]
    assert sorted(bodies) == sorted(one["body"] for one in bad.values())


def test_a_held_letter_is_sent_back_by_its_id_alone(idle_saga: SagaFixture) -> None:
    saga = idle_saga
    set_aside(saga.foreign_client, reserved("CMD-1"))
    set_aside(saga.foreign_client, reserved("CMD-2"))
    first, second = letters(saga)
    dlq(saga, "hold", first["id"], "--because", "asked the bank", "--by", "alice")
    held = {letter["id"]: letter["held"] for letter in letters(saga)}
    assert held.keys() == {first["id"], second["id"]}
    assert held[first["id"]].startswith("alice at ")
    assert held[first["id"]].endswith(": asked the bank")
    assert "1 sent back" in dlq(saga, "replay", "--all")
    await_count(saga, "paiement.dlq", 1)
    assert "1 sent back" in dlq(saga, "replay", first["id"])
    assert [record["act"] for record in audit(saga)] == ["held", "replayed", "replayed"]
    bodies = [message.body for _ in "12" if (message := saga.foreign_client.get("paiement.inbox", 90))]
    assert bodies == [reserved("CMD-2"), reserved("CMD-1")]


def test_a_discarded_letter_is_gone_and_the_audit_keeps_its_bytes(idle_saga: SagaFixture) -> None:
    saga = idle_saga
    set_aside(saga.foreign_client, reserved("CMD-1"))
    (letter,) = letters(saga)
    dlq(saga, "discard", letter["id"], "--because", "a test of ours")
    assert letters(saga) == []
    (record,) = audit(saga)
    assert (record["act"], record["because"], record["commande_id" if "commande_id" in record else "key"]) == (
        "discarded",
        "a test of ours",
        "CMD-1",
    )
    assert dlq(saga, "audit", "--letter", letter["id"], "--original").encode() == reserved("CMD-1")
    assert "no dead letter" in dlq(saga, "discard", letter["id"], "--because", "again", code=2)


def test_a_letter_that_fails_again_says_who_had_sent_it_back(stopped_saga: SagaFixture) -> None:
    saga = stopped_saga
    saga.start("stock", "commande", "notification").await_ready()
    saga.start("paiement", gateway_failure_rate=1).await_ready()
    set_aside(saga.foreign_client, reserved("CMD-1"))
    (before,) = letters(saga)
    dlq(saga, "replay", before["id"], "--by", "alice")
    until(lambda: [one["id"] for one in letters(saga)] not in ([], [before["id"]]), "it is set aside again")
    (after, *_) = [letter for letter in letters(saga) if letter["type"] == "stock.reserve"]
    assert after["replayed"].startswith("alice at ")
    assert after["id"] != before["id"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["replay"], "give ids, or --all"),
        (["replay", "--all", "ID"], "give ids, or --all"),
        (["replay", "--all", "--rate", "0"], "is not a number of letters per second"),
        (["hold", "ID"], "--because"),
        (["discard", "ID", "--because", " "], "expected one line"),
        (["show", "0123456789ab"], "no queue paiement.dlq"),
        (["audit"], "saga.audit"),
        (["audit", "--original"], "--original goes with --letter"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line(stopped_saga: SagaFixture, arguments: list[str], expected: str) -> None:
    done = command(
        "dlq", *arguments, *(["--service", "paiement"] if "show" in arguments else []), **stopped_saga.settings
    )
    (printed,) = done.stderr.splitlines()
    assert (done.returncode, expected in printed) == (2, True), printed


def test_a_broker_that_is_away_is_one_line(stopped_saga: SagaFixture) -> None:
    nowhere = {"amqp_url": "amqp://saga:saga@127.0.0.1:1/"}
    for action in (["list"], ["replay", "--all"], ["audit"], ["hold", "ID", "--because", "x"]):
        (printed,) = dlq(stopped_saga, *action, code=2, **nowhere).splitlines()
        assert printed.startswith("services: broker away (127.0.0.1:1: ")
