"""The acts in which something is killed while orders are under way: a worker, then the broker."""

from collections.abc import Sequence

from saga_monitor.projection.queries import Queries
from scripts.demonstration import broker
from scripts.demonstration.scenarios import BROKER_KILLED, WORKER_KILLED, Kind
from scripts.demonstration.signals import held
from scripts.demonstration.steps import Stage, await_workers, order_all, until, until_ended


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
