"""The checker of the monitor, I9: its state, live and rebuilt, against the stream and the databases. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.nemesis.delivery_checkers import expected_events
from scripts.nemesis.exemptions import CANCELLED, CREATED, orders_needing_a_person
from scripts.nemesis.history import STREAM
from scripts.nemesis.order_checkers import disagreements, unfinished_orders
from scripts.nemesis.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.nemesis.databases import Databases
    from scripts.nemesis.history import History, MonitorState

STATES = {CREATED: "COMPLETED", CANCELLED: "COMPENSATED"}
NEEDS_A_PERSON = "INTERVENTION"
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
    for state, monitor_name in ((live, "live"), (rebuilt, "rebuilt")):
        yield from _wrong_states(state, monitor_name, history, databases)
    yield from _side_effects(history)


def incomplete_orders(history: History, databases: Databases) -> frozenset[str]:
    """The orders that have lost events with the stream: a monitor cannot know them completely."""
    missing = {
        event for event in expected_events(history, databases).values() if event.identity not in history.event_ids
    }
    lost = {event.commande_id for event in missing}
    streamed = {(entry.exchange, entry.body) for entry in history.stream}
    dead_letters = {
        x.fields.commande_id for x in history.dead_letters if (f"{x.service}.dlx", x.body) not in streamed
    }
    return frozenset(order for order in lost | dead_letters if order is not None)


def _wrong_states(
    state: MonitorState, monitor_name: str, history: History, databases: Databases
) -> Iterator[Violation]:
    left_out = frozenset() if history.complete else incomplete_orders(history, databases)
    exempt = orders_needing_a_person(history)
    problems = (*unfinished_orders(history, databases), *disagreements(history, databases))
    exempt_problems = {order: problem for order, problem in problems if order in exempt}
    for order, commande in databases.commandes.items():
        found, expected = state.states.get(order), STATES.get(commande.etat)
        if expected and found != expected and order not in exempt_problems and order not in left_out:
            yield Violation("I9", f"{order}: {commande.etat}, and the monitor ({monitor_name}) says {found}")
    for order, problem in exempt_problems.items():
        if order not in left_out and NEEDS_A_PERSON not in state.flags.get(order, ()):
            yield Violation("I9", f"{order}: {problem}, and the monitor ({monitor_name}) does not flag it")


def _projection_differences(live: MonitorState, rebuilt: MonitorState, *, complete: bool) -> Iterator[Violation]:
    compared = {
        "events": (live.events, rebuilt.events),
        "dead letters": (live.dead_letters, rebuilt.dead_letters),
        "orders": (frozenset(live.states.items()), frozenset(rebuilt.states.items())),
    }
    if not complete:
        del compared["orders"]  # with fewer events, an order can be in another state
    for what, (live_items, rebuilt_items) in compared.items():
        differing = live_items ^ rebuilt_items if complete else rebuilt_items - live_items
        for item in sorted(differing, key=repr)[:MOST]:
            where = "live only" if item in live_items else "rebuilt only"
            yield Violation("I9", f"{what}, {where}: {item}")


def _side_effects(history: History) -> Iterator[Violation]:
    if not any(STREAM in connection.queues for connection in history.monitor_connections):
        yield Violation("I9", "could not tell: no connection of a monitor consumes the history")
    for connection in history.monitor_connections:
        if connection.published:
            yield Violation("I9", f"the monitor published {connection.published} messages")
        for queue in connection.queues:
            if queue != STREAM:
                yield Violation("I9", f"the monitor consumes {queue}")
