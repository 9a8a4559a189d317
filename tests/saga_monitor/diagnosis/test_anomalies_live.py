"""Every anomaly, caused on purpose with real workers and a real broker, has the right reason."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from scripts.nemesis.gateway import Gateway
from tests.saga_monitor.live_setup import LiveSetup
from tests.support.late_port import late_port
from tests.support.saga_fixture import SERVICES, is_about, saga_fixture
from tests.support.workers import ROOT, paused, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.brokers import Broker

END = ("commande.creee", "notification.envoyee")
UNDONE = ("commande.annulee", "stock.libere", "paiement.rembourse")


@pytest.fixture(scope="module")
def live(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSetup]:
    with saga_fixture(broker, tmp_path_factory.mktemp("anomalies")) as ready:
        # One delivery at a time, so that later messages wait behind a held one.
        ready.settings["prefetch"] = 1
        ready.start_all(*SERVICES)
        yield LiveSetup(ready)


def done(live: LiveSetup, **data: Any) -> tuple[str, dict[str, str]]:
    """An order that succeeded, and the ids of its events by type."""
    order = live.saga.order(**data)
    told = live.saga.await_events(order, *END)
    return order, {type_: heard.json["id"] for type_, heard in told.items()}


def refused(live: LiveSetup) -> tuple[str, dict[str, str]]:
    """An order for which nothing was done: its undoings found nothing to undo."""
    order = live.saga.order(produit_id="PROD-NOBODY-HAS")
    told = live.saga.await_events(order, *UNDONE)
    return order, {type_: heard.json["id"] for type_, heard in told.items()}


def test_when_all_goes_well_nothing_is_named(live: LiveSetup) -> None:
    """Refusals and cancellations before, during and after the creation are no anomalies."""
    done(live)
    refused(live)
    for number in range(24):
        order = live.saga.new_id()
        if number % 4 == 0:
            live.saga.cancel(order)
        live.saga.order(order, client_id=("CLIENT-123", "CLIENT-666", "CLIENT-999")[number % 3])
        if number % 4 == 1:
            live.saga.cancel(order)
    live.saga.cancel(order)
    live.settled(26)
    assert live.wrong() == []
    ran = anomalies_verb(live)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "nothing is wrong\n", "")


def anomalies_verb(live: LiveSetup, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "saga_monitor", "anomalies", *options]
    return subprocess.run(
        command, cwd=ROOT, env=live.environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_said_twice(live: LiveSetup) -> None:
    order, ids = done(live)
    live.say("commande.creee", order, ids["paiement.effectue"])
    sentence = live.named(order, "contradiction", "commande", "said_twice")
    assert "commande said commande.creee twice; compare the journal" in sentence


def test_an_action_after_its_tombstone(live: LiveSetup) -> None:
    order, ids = refused(live)
    bought: dict[str, Any] = {"client_id": "C", "produit_id": "P", "quantite": 1, "montant": 5}
    live.say("stock.reserve", order, ids["commande.initiee"], reservation_id="R", **bought)
    assert "answered stock.libere with nothing to undo, and yet says stock.reserve" in live.named(
        order, "contradiction", "stock", "after_tombstone"
    )


def test_the_wrong_cause(live: LiveSetup) -> None:
    order, ids = refused(live)
    live.say("paiement.effectue", order, ids["commande.initiee"], transaction_id="T", montant=5)
    sentence = live.named(order, "not_allowed", "paiement", "wrong_cause")
    assert "paiement.effectue in answer to commande.initiee, which the choreography does not allow" in sentence


def test_the_wrong_source(live: LiveSetup) -> None:
    order, _ = done(live)
    live.say("paiement.effectue", order, None, exchange="client.events", transaction_id="T", montant=5)
    assert "came by client.events, which is not its speaker's" in live.named(
        order, "not_allowed", "client", "wrong_source"
    )


def test_a_repeated_order(live: LiveSetup) -> None:
    order, _ = done(live)
    live.saga.order(order, quantite=7)
    assert "2 different orders have this id" in live.named(order, "repeated_start", None, "same_id")


def test_clocks_that_differ(live: LiveSetup) -> None:
    order = live.timed_order(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    live.saga.await_events(order, *END)
    sentence = live.named(None, "clock_skew", "stock", "against_client")
    assert "before it was asked: one clock is wrong" in sentence


def test_a_dead_letter_of_no_order(live: LiveSetup) -> None:
    assert live.saga.foreign_client.publish("client.events", "commande.initiee", b"not JSON")
    sentence = live.named(None, "dead_letter", "stock", "unreadable")
    assert "is in stock.dlq: it cannot be read (not JSON); tell whoever sent it" in sentence
    for service in ("stock", "commande"):
        assert live.saga.foreign_client.get(f"{service}.dlq", within_seconds=90)
    assert [a for a in live.wrong() if a.kind == "dead_letter"] == []


def test_a_worker_that_hangs_and_what_waits_behind_it(live: LiveSetup) -> None:
    with paused(live.saga.workers["paiement"]):
        held = live.saga.order()
        sentence = live.named(held, "stuck", "paiement", "unresponsive")
        assert "paiement.inbox is empty, so it holds the message or never had it: " in sentence
        assert (
            "paiement.inbox is not bound to stock.events for stock.reserve; look at the log of paiement"
            in sentence
        )
        behind = live.saga.order()
        assert "its worker is there, with 1 message before it" in live.named(behind, "stuck", "paiement", "queued")
    for order in (held, behind):
        live.saga.await_events(order, *END)


def test_an_inbox_without_a_worker(live: LiveSetup) -> None:
    assert live.saga.workers["notification"].end() == 0
    order = live.saga.order()
    # The broker is asked first, perhaps before the message arrives.
    what = "has no consumer and 1 message: start a worker with `python -m services run notification`"
    sentence = live.named(order, "stuck", "notification", "no_consumer", what)
    assert "waits for notification.envoyee of notification" in sentence
    listed = json.loads(anomalies_verb(live, "--json").stdout)
    (found,) = [a for a in listed if a["commande_id"] == order]
    assert (found["kind"], found["reason"]) == ("stuck", "no_consumer")
    printed = anomalies_verb(live)
    assert printed.returncode == 1
    assert f"{order} waits for notification.envoyee of notification, silent for" in printed.stdout
    live.saga.start("notification")
    live.saga.await_events(order, *END)


def test_nobody_was_bound_and_it_never_came(live: LiveSetup) -> None:
    assert live.saga.workers["stock"].end() == 0
    order, bought = live.saga.new_id(), {"client_id": "CLIENT-123", "produit_id": "PROD-456", "quantite": 1}
    message = {"commande_id": order, **bought, "montant": 5}
    with contextlib.ExitStack() as others:
        # A worker that publishes to the inbox looks for it now and then, and declares it.
        for service in set(SERVICES) - {"stock"}:
            others.enter_context(paused(live.saga.workers[service]))
        live.saga.management.delete_queue("stock.inbox")
        event_id = live.saga.publish("commande.initiee", message)
        assert "the queue stock.inbox does not exist, so nobody was bound to commande.initiee" in live.named(
            order, "stuck", "stock", "no_queue"
        )
    live.start_again("stock")
    sentence = live.named(order, "stuck", "stock", "never_came", otherwise=lambda: done(live))
    assert "stock answers other orders and commande.initiee is in none of its queues" in sentence
    assert sentence.endswith("the client must send commande.initiee again, with the same event id")
    live.saga.publish("commande.initiee", message, id=event_id)
    live.saga.subscription.until(lambda heard: {*END} <= {one.key for one in heard if is_about(one, order)}, 20)


def test_a_message_that_waits_for_its_next_try(live: LiveSetup) -> None:
    live.restart("paiement", gateway_failure_rate=1, retry_delays="0.1,30")
    order = live.saga.order()
    # The first retry is short, but a slow machine may see it.
    sentence = live.named(order, "stuck", "paiement", "retrying", "try 2 of 3 failed (ReponsePerdue")
    assert "; the next is at " in sentence


def test_half_undone_because_the_undoing_was_set_aside(live: LiveSetup) -> None:
    live.restart("paiement", gateway_failure_rate=1)
    order = live.saga.order()
    live.saga.await_events(order, "commande.annulee", "stock.libere")
    sentence = live.named(order, "half_undone", "paiement", "set_aside")
    assert "is cancelled, and paiement has not said paiement.rembourse: its commande.annulee is in pai" in sentence
    assert "every try failed (ReponsePerdue" in sentence
    assert re.search(r"`python -m services dlq replay [0-9a-f]{12}` sends it back to paiement", sentence)
    letters = {a.sentence.split(" is in ")[0] for a in live.wrong() if (a.kind, a.key) == ("dead_letter", order)}
    assert letters == {f"{order}: stock.reserve", f"{order}: commande.annulee"}
    live.restart("paiement")


def test_orders_that_need_a_gateway_that_is_down_are_held_and_go_on_when_it_is_back(live: LiveSetup) -> None:
    with contextlib.closing(Gateway()) as gateway, late_port("127.0.0.1", urlsplit(gateway.url).port or 0) as late:
        url = f"http://127.0.0.1:{late.number}"
        live.restart("paiement", gateway=url, hold_after=1, probe_every=2)
        orders = [live.saga.order() for _ in range(3)]
        until(lambda: waiting(live) >= len(orders), "they are held")
        late.open()
        for order in orders:
            assert "paiement.echoue" not in live.saga.await_events(order, *END)
        assert {charge.commande_id for charge in gateway.charges()} >= {*orders}
        live.restart("paiement")


def waiting(live: LiveSetup) -> int:
    """How many orders wait for the gateway; one of an earlier test, whose next try has come, may be among them."""
    sentence = live.named(None, "held", "paiement", "outside_down")
    found = re.fullmatch(
        r"the card gateway is down \(OutsideUnavailable: ConnectError .*; (\d+) orders? waits?", sentence
    )
    assert found, sentence
    return int(found[1])
