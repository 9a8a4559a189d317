"""Choreographies with any number of services, for the benchmark of the prover and for tests.

Each has one decider, `decideur`, and workers; a worker may refuse, and undoes its work when the saga is cancelled.
"""

from collections.abc import Callable
from functools import cache
from typing import ClassVar

from choregraphie.saga.choreography import Awaited, Choreography, Deadline, EventClass, Reaction, Step
from choregraphie.saga.envelope import Event
from choregraphie.saga.fields import Identifier

DECIDER = "decideur"
NAMED = ("dossiers", ("file", "files"))


class FileEvent(Event):
    """A fact about one file."""

    SAGA: ClassVar[str] = "dossiers"
    KEY: ClassVar[str] = "dossier_id"

    dossier_id: Identifier


@cache
def event(type_: str, said_by: str, base: EventClass = FileEvent) -> EventClass:
    """The event class with this wire type, always the same."""
    name = type_.title().replace(".", "").replace("_", "")
    return type(name, (base,), {"__module__": __name__, "TYPE": type_, "SAID_BY": said_by, "__doc__": f"{type_}."})


STARTS = event("dossier.ouvert", "client")
ASKED = event("dossier.annulation_demandee", "client")
CREATED = event("dossier.accepte", DECIDER)
CANCELLED = event("dossier.annule", DECIDER)


def worker(number: int, after: Awaited) -> tuple[Step, tuple[Reaction, ...]]:
    """A service that does its part after `after`, or refuses, and undoes it."""
    name = f"service{number}"
    done, refused, undone = (event(f"{name}.{word}", name) for word in ("fait", "refuse", "defait"))
    step = Step(name, after, done, refused, undone)
    return step, (
        Reaction(name, after, (done, refused), refusal=refused),
        Reaction(name, CANCELLED, (undone,), undoing=True, undoes=step.awaits),
    )


def assembled(workers: list[tuple[Step, tuple[Reaction, ...]]], ready: Awaited) -> Choreography:
    """The choreography of `workers` and of a decider that can decide after `ready`."""
    refusals = [step.refusal for step, _ in workers if step.refusal]
    steps = (*(step for step, _ in workers), Step(DECIDER, ready, CREATED, CANCELLED))
    reactions = (
        *(reaction for _, reactions in workers for reaction in reactions),
        Reaction(DECIDER, STARTS, (CREATED, CANCELLED), decision=True),
        Reaction(DECIDER, ready, (CREATED, CANCELLED), decision=True),
        *(Reaction(DECIDER, heard, (CANCELLED,), decision=True) for heard in (*refusals, ASKED)),
    )
    timed = (Deadline(DECIDER, (CANCELLED,), after=(STARTS, *steps[-1].awaits, *refusals)),)
    heard = {event for reaction in reactions for event in reaction.awaits}
    said = dict.fromkeys(said for reaction in reactions for said in reaction.says)
    final = tuple(said for said in said if said not in heard)
    return Choreography(*NAMED, STARTS, CREATED, CANCELLED, ASKED, DECIDER, steps, reactions, timed, final)


def chain(services: int) -> Choreography:
    """Each worker waits for the one before; the decider waits for the last."""
    workers, after = [], STARTS
    for number in range(1, services):
        workers.append(worker(number, after))
        after = workers[-1][0].success
    return assembled(workers, after)


def parallel(services: int) -> Choreography:
    """All workers begin at once; the decider waits for the last, and cancels on the refusal of any."""
    workers = [worker(number, STARTS) for number in range(1, services)]
    return assembled(workers, workers[-1][0].success)


def joined(services: int) -> Choreography:
    """All workers but one begin at once; the last one waits for all of them, and the decider for it."""
    workers = [worker(number, STARTS) for number in range(1, services - 1)]
    last = worker(services - 1, tuple(step.success for step, _ in workers) or STARTS)
    return assembled([*workers, last], last[0].success)


def two_halves(services: int) -> Choreography:
    """Half of the workers begin at once, before the decision; the others begin at once when it is made."""
    before = max(1, (services - 1) // 2)
    workers = [worker(number, STARTS if number <= before else CREATED) for number in range(1, services)]
    return assembled(workers, workers[before - 1][0].success)


SHAPES: dict[str, Callable[[int], Choreography]] = {
    "chain": chain,
    "parallel": parallel,
    "joined": joined,
    "two halves": two_halves,
}
