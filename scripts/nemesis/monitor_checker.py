"""The checker of the monitor, I9: its state, live and rebuilt, against the stream and the databases. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.nemesis.delivery_checkers import expected_events
from scripts.nemesis.exemptions import CANCELLED, CREATED, orders_needing_a_person
from scripts.nemesis.order_checkers import disagreements, unfinished_orders
from scripts.nemesis.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.nemesis.databases import Databases
    from scripts.nemesis.history import History, MonitorState

STATES = {CREATED: "COMPLETED", CANCELLED: "COMPENSATED"}
NEEDS_A_PERSON = "INTERVENTION"
STREAM = "saga.history"
MOST = 5


def monitor(history: History, databases: Databases) -> Iterator[Violation]:
    """I9. A projection rebuilt from the first offset equals the live one, and both agree with the databases.

    When the stream has lost entries with its broker, the rebuilt state may lack events, but must not have others.
    Only orders whose events are all in the stream are compared with the databases. The monitor publishes nothing
    and consumes only the stream.
    """
    live, rebuilt = history.live, history.rebuilt
    if live is None or rebuilt is None or not live.states or not rebuilt.states:
        yield Violation("I9", "could not tell: no monitor, or it knows nothing")
        return
    yield from _projection_differences(live, rebuilt, complete=history.complete)
    for told, which in ((live, "live"), (rebuilt, "anew")):
        yield from _wrong_states(told, which, history, databases)
    yield from _side_effects(history)


def incomplete_orders(history: History, databases: Databases) -> frozenset[str]:
    """The orders of which the stream has lost events: a monitor cannot know them completely."""
    absent = {
        event for event in expected_events(history, databases).values() if event.identity not in history.heard
    }
    lost = {event.commande_id for event in absent}
    told = {(entry.exchange, entry.body) for entry in history.stream}
    dead_letters = {x.fields.commande_id for x in history.dead_letters if (f"{x.service}.dlx", x.body) not in told}
    return frozenset(order for order in lost | dead_letters if order is not None)


def _wrong_states(told: MonitorState, which: str, history: History, databases: Databases) -> Iterator[Violation]:
    left_out = frozenset() if history.complete else incomplete_orders(history, databases)
    needing = orders_needing_a_person(history)
    wrong = (*unfinished_orders(history, databases), *disagreements(databases))
    troubled = {order: problem for order, problem in wrong if order in needing}
    for order, commande in databases.commandes.items():
        said, right = told.states.get(order), STATES.get(commande.etat)
        if right and said != right and order not in troubled and order not in left_out:
            yield Violation("I9", f"{order}: {commande.etat}, and the monitor ({which}) says {said}")
    for order, problem in troubled.items():
        if order not in left_out and NEEDS_A_PERSON not in told.flags.get(order, ()):
            yield Violation("I9", f"{order}: {problem}, and the monitor ({which}) does not flag it")


def _projection_differences(live: MonitorState, rebuilt: MonitorState, *, complete: bool) -> Iterator[Violation]:
    differ = {
        "events": (live.events, rebuilt.events),
        "dead letters": (live.dead_letters, rebuilt.dead_letters),
        "orders": (frozenset(live.states.items()), frozenset(rebuilt.states.items())),
    }
    if not complete:
        del differ["orders"]  # with fewer events, an order can be in another state
    for what, (heard, again) in differ.items():
        odd = heard ^ again if complete else again - heard
        for one in sorted(odd, key=repr)[:MOST]:
            where = "live only" if one in heard else "rebuilt only"
            yield Violation("I9", f"{what}, {where}: {one}")


def _side_effects(history: History) -> Iterator[Violation]:
    if not any(STREAM in link.queues for link in history.monitor_connections):
        yield Violation("I9", "could not tell: no connection of a monitor consumes the history")
    for link in history.monitor_connections:
        if link.published:
            yield Violation("I9", f"the monitor published {link.published} messages")
        for queue in link.queues:
            if queue != STREAM:
                yield Violation("I9", f"the monitor consumes {queue}")
