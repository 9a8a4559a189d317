"""Plays the orders: what is published, what is waited for, which worker is paused meanwhile."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.projection.queries import Queries
from scripts.demonstration import broker
from scripts.demonstration.scenarios import (
    AT_ONCE,
    BROKER_KILLED,
    CANCELLED_AFTER,
    CANCELLED_BEFORE,
    KINDS,
    TOO_LATE,
    WORKER_KILLED,
    Kind,
)
from scripts.demonstration.signals import held
from scripts.demonstration.steps import Stage, await_workers, order, order_all, order_one, until, until_ended

SHORT_DEADLINE = "2"


def open_shop(stage: Stage) -> None:
    """Start a worker of every service, and wait until each hears."""
    for service in CHOREOGRAPHY.services:
        stage.crew.invocation(service)
    await_workers(stage, CHOREOGRAPHY.services)


def play(stage: Stage) -> None:
    """Every kind of order, to its end."""
    queries = Queries(stage.settings.monitor_database, stage.settings.stuck_after)
    try:
        _many_at_once(stage, queries)
        _cancelled_before(stage, queries)
        kill_a_worker(stage, queries)
        kill_the_broker(stage, queries)
        _too_late(stage, queries)
        for kind in KINDS:
            until_ended(stage, queries, kind)
        stage.explain("Every order has come to its end: created, or cancelled with everything given back")
    finally:
        queries.close()


def _many_at_once(stage: Stage, queries: Queries) -> None:
    stage.explain(f"{len(AT_ONCE)} orders at once: five can be paid for, three will be refused")
    order_all(stage, AT_ONCE)
    # The confirmation has left: what follows cannot unsend it.
    until(stage, queries, CANCELLED_AFTER, lambda found: found.state == "COMPLETED" and found.at_rest)
    stage.explain("CMD-CREEE: stock held the goods, paiement took the money, commande created the order")
    stage.explain("CMD-RUPTURE: out of stock, refused and cancelled. Nothing was taken")
    stage.explain("CMD-SANS-PROVISION: refused by paiement, so stock gave the goods back")
    stage.explain("CMD-CLIENT-BLOQUE: refused by commande last of all: the money and the goods went back")
    stage.explain(f"{CANCELLED_AFTER.commande_id} is created and confirmed; its client changes their mind")
    order(stage, "--annuler", CANCELLED_AFTER.commande_id)


def _cancelled_before(stage: Stage, queries: Queries) -> None:
    stage.explain(
        f"paiement is paused; {CANCELLED_BEFORE.commande_id} waits for it, and its client changes their mind"
    )
    stage.crew.pause("paiement")
    order_one(stage, CANCELLED_BEFORE)
    until(stage, queries, CANCELLED_BEFORE, lambda found: found.last_type == "stock.reserve")
    order(stage, "--annuler", CANCELLED_BEFORE.commande_id)
    until(stage, queries, CANCELLED_BEFORE, lambda found: found.state == "COMPENSATING")
    stage.explain("paiement goes on: it may take the money, and then it gives it back")
    stage.crew.resume("paiement")


def _too_late(stage: Stage, queries: Queries) -> None:
    stage.explain(f"commande is restarted with SAGA_DEADLINE={SHORT_DEADLINE}, and paiement paused again")
    stage.crew.end("commande")
    stage.crew.invocation("commande", SAGA_DEADLINE=SHORT_DEADLINE)
    await_workers(stage, ["commande"])
    stage.crew.pause("paiement")
    order_one(stage, TOO_LATE)
    until(stage, queries, TOO_LATE, lambda found: found.state == "COMPENSATING")
    stage.explain(
        f"the deadline of {TOO_LATE.commande_id} has passed: commande has cancelled it; paiement goes on"
    )
    stage.crew.resume("paiement")


def kill_a_worker(stage: Stage, queries: Queries) -> None:
    """Kill the worker of paiement with orders in its hands, and start another."""
    _under_way(stage, queries, WORKER_KILLED)
    stage.crew.kill("paiement")
    stage.explain(
        f"WORKER KILLED: paiement got SIGKILL with {len(WORKER_KILLED)} orders in hand. Look: they stay at stock"
    )
    stage.crew.invocation("paiement")
    await_workers(stage, ["paiement"])
    _all_end(stage, queries, WORKER_KILLED)
    stage.explain("A new paiement worker received the same messages again: all of those orders are COMPLETED")


def kill_the_broker(stage: Stage, queries: Queries) -> None:
    """Kill the broker with orders under way, and start it again; one that was lent is left alone."""
    _under_way(stage, queries, BROKER_KILLED)
    if not broker.may_be_killed(stage.broker):
        stage.explain("This broker is not a private node of the demonstration: it is not killed, and serves on")
        stage.crew.resume("paiement")
        _all_end(stage, queries, BROKER_KILLED)
        return
    with held():
        broker.kill(stage.broker)
        stage.crew.resume("paiement")
        stage.explain(f"BROKER KILLED with {len(BROKER_KILLED)} orders under way. Look below: broker away")
        broker.start_again(stage.broker)
    stage.explain("The broker is started again on its data: workers and monitor connect again by themselves")
    await_workers(stage, ["paiement"])
    _all_end(stage, queries, BROKER_KILLED)
    stage.explain("The broker is back, and the orders went on where they stood: all of them are COMPLETED")


def _under_way(stage: Stage, queries: Queries, kinds: Sequence[Kind]) -> None:
    """These orders, each with its goods held, and paiement paused before it answers."""
    stage.say(f"{len(kinds)} orders more, while paiement is paused")
    stage.crew.pause("paiement")
    order_all(stage, kinds)
    for kind in kinds:
        until(stage, queries, kind, lambda found: found.last_type == "stock.reserve")


def _all_end(stage: Stage, queries: Queries, kinds: Sequence[Kind]) -> None:
    for kind in kinds:
        until_ended(stage, queries, kind)


def known_to(folder: Path) -> Mapping[str, str]:
    """The settings that keep everything of the demonstration in `folder`."""
    return {
        "SAGA_DATABASE_URL": f"sqlite:///{folder}/{{service}}.sqlite3",
        "SAGA_MONITOR_DATABASE": str(folder / "monitor.sqlite3"),
        "SAGA_CARRIER": f"maildir:{folder / 'courrier'}",
    }
