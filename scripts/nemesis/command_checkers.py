"""The checkers of an orchestrator, parts of I3 and I5: its instances, and its commands in their order. Pure.

In a choreography they find nothing, for it has neither. That each command is said once is I7.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from choregraphie.orchestration import Orchestrated
from choregraphie.orchestration.machine import State
from scripts.nemesis.delivery_checkers import expected_events
from scripts.nemesis.exemptions import CANCELLED, CREATED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from choregraphie.orchestration import Orchestration
    from scripts.nemesis.databases import Databases
    from scripts.nemesis.history import History

ENDS: Mapping[str, str] = {State.COMPLETED: CREATED, State.COMPENSATED: CANCELLED}


def unfinished_instances(
    history: History, databases: Databases, orders: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Each of `orders` that the orchestrator has not led to an end, and where it stands."""
    if not isinstance(history.saga, Orchestrated):
        return
    for order in orders:
        instance = databases.instances.get(order)
        if instance is None:
            yield order, "the orchestrator does not know it"
        elif instance.state not in ENDS:
            yield order, f"the orchestrator still has it {instance.state}"
        elif instance.review:
            yield order, f"the orchestrator has it {instance.state}, and it waits for a person"


def wrong_instances(databases: Databases) -> Iterator[tuple[str, str]]:
    """Each order that orchestrator and decider see ended in different ways."""
    for order, instance in databases.instances.items():
        commande = databases.commandes.get(order)
        found = commande.etat if commande else "unknown to commande"
        if instance.state in ENDS and ENDS[instance.state] != found:
            yield order, f"{found}, and the orchestrator has it {instance.state}"


def wrong_commands(history: History, databases: Databases) -> Iterator[tuple[str, str]]:
    """Each order whose commands are not those of the declaration, in its order, each after what it awaits."""
    if not isinstance(history.saga, Orchestrated):
        return
    saga = history.saga.orchestration
    type_of = {
        (event.commande_id, event.identity.partition(" of ")[0]): event.type
        for event in expected_events(history, databases).values()
    }
    said: defaultdict[str, list[tuple[str, str | None]]] = defaultdict(list)
    for row in databases.of(saga.service).outbox:
        said[row.commande_id].append((row.type, type_of.get((row.commande_id, row.fields.cause or ""))))
    for order, commands in said.items():
        for problem in (*_out_of_order(saga, [type_ for type_, _ in commands]), *_too_early(saga, commands)):
            yield order, problem


def _out_of_order(saga: Orchestration, said: Sequence[str]) -> Iterator[str]:
    """The steps come in their order; their undoings in the reverse one, the pivot's before all others."""
    steps = [step.command.TYPE for step in saga.all_steps]
    asked = [type_ for type_ in said if type_ in steps]
    if asked != steps[: len(asked)]:
        yield f"the steps were asked in the order {', '.join(asked)}"
    undoable = [step for step in saga.all_steps if step.undoing and step.command.TYPE in asked and not step.pivot]
    expected = [step.undoing.TYPE for step in reversed(undoable) if step.undoing]
    undone = [type_ for type_ in said if type_ in {step.undoing.TYPE for step in saga.all_steps if step.undoing}]
    if saga.pivot.undoing and undone[:1] == [saga.pivot.undoing.TYPE]:
        undone = undone[1:]
    if undone != expected[: len(undone)]:
        yield f"the steps were undone in the order {', '.join(undone)}"


def _too_early(saga: Orchestration, commands: Iterable[tuple[str, str | None]]) -> Iterator[str]:
    """Each command but the cancellation, which anything may cause, answers an event that it had to await."""
    awaited = _awaited(saga)
    for type_, cause in commands:
        if type_ in awaited and cause not in awaited[type_]:
            yield f"{type_} was said in answer to {cause or 'an unknown event'}"


def _awaited(saga: Orchestration) -> dict[str, set[str]]:
    """The types of the events that each command may answer."""
    awaited: dict[str, set[str]] = {}
    before = {saga.starts.TYPE}
    for group in saga.groups:
        awaited |= {step.command.TYPE: before for step in group}
        before = {step.success.TYPE for step in group}
    undone = {step.undone.TYPE for step in saga.all_steps if step.undone}
    awaited |= {step.undoing.TYPE: undone for step in saga.all_steps if step.undoing and not step.pivot}
    awaited |= {notice.command.TYPE: {saga.created.TYPE} for notice in saga.on_created}
    awaited |= {notice.command.TYPE: {saga.cancelled.TYPE} for notice in saga.on_cancelled}
    return awaited
