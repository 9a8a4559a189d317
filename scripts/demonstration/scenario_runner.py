"""Plays the orders: what is published, what is waited for, which worker is paused meanwhile."""

from collections.abc import Mapping
from pathlib import Path

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.projection.queries import Queries
from scripts.demonstration.killing import kill_a_worker, kill_the_broker
from scripts.demonstration.scenarios import AT_ONCE, CANCELLED_AFTER, CANCELLED_BEFORE, KINDS, TOO_LATE
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


def known_to(folder: Path) -> Mapping[str, str]:
    """The settings that keep everything of the demonstration in `folder`."""
    return {
        "SAGA_DATABASE_URL": f"sqlite:///{folder}/{{service}}.sqlite3",
        "SAGA_MONITOR_DATABASE": str(folder / "monitor.sqlite3"),
        "SAGA_CARRIER": f"maildir:{folder / 'courrier'}",
    }
