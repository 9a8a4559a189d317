"""Random small choreographies, sound and broken, for properties of the prover."""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from choregraphie.saga.choreography import Awaited, Choreography, Deadline, EventClass, Reaction, Step
from scripts.benchmarks.choreographies import ASKED, CANCELLED, CREATED, DECIDER, NAMED, STARTS, event

Draw = st.DrawFn


@dataclass(frozen=True)
class Worker:
    step: Step
    reactions: tuple[Reaction, ...]


def _joins(earlier: tuple[EventClass, ...]) -> st.SearchStrategy[tuple[EventClass, ...]]:
    """Two different events that must both be heard."""
    pairs = st.tuples(st.sampled_from(earlier), st.sampled_from(earlier))
    return pairs.map(lambda pair: tuple(dict.fromkeys(pair)))


@st.composite
def _worker(draw: Draw, number: int, earlier: tuple[EventClass, ...]) -> Worker:
    """A service that does its part after one of `earlier`; perhaps it refuses, undoes, notes the creation."""
    name = f"service{number}"
    done, refused, undone = (event(f"{name}.{word}", name) for word in ("fait", "refuse", "defait"))
    after = draw(st.one_of(st.sampled_from(earlier), _joins(earlier)))
    refuses = draw(st.booleans())
    irreversible = draw(st.integers(0, 5)) == 0
    says = (done, refused) if refuses else (done,)
    reactions = [Reaction(name, after, says, refused if refuses else None, irreversible=irreversible)]
    if draw(st.booleans()) and CREATED not in Step(name, after, done).awaits:
        reactions.append(Reaction(name, CREATED))
    undoes = tuple(event for r in reactions for event in r.awaits if draw(st.integers(0, 4)) > 0)
    undoing = draw(st.integers(0, 4)) > 0
    if undoing:
        reactions.append(Reaction(name, CANCELLED, (undone,), undoing=draw(st.integers(0, 9)) > 0, undoes=undoes))
    return Worker(
        Step(name, after, done, refused if refuses else None, undone if undoing else None), tuple(reactions)
    )


@st.composite
def _workers(draw: Draw, most: int) -> list[Worker]:
    workers: list[Worker] = []
    for number in range(1, draw(st.integers(1, most)) + 1):
        earlier = (STARTS, STARTS, CREATED, *(worker.step.success for worker in workers))
        workers.append(draw(_worker(number, earlier)))
    return workers


@st.composite
def _decider(draw: Draw, workers: list[Worker]) -> tuple[Awaited, tuple[Reaction, ...]]:
    """What the decider's step comes after, and its reactions."""
    successes = (STARTS, *(worker.step.success for worker in workers))
    ready = draw(st.one_of(st.sampled_from(successes), _joins(successes)))
    both = draw(st.sampled_from([(CREATED, CANCELLED), (CREATED, CANCELLED), (CREATED,)]))
    reactions = [Reaction(DECIDER, ready, both, decision=True)]
    awaited = Step(DECIDER, ready, CREATED).awaits
    if STARTS not in awaited and draw(st.integers(0, 4)) > 0:
        reactions.append(Reaction(DECIDER, STARTS, both, decision=True))
    for worker in workers:
        if worker.step.refusal and draw(st.integers(0, 4)) > 0:
            reactions.append(Reaction(DECIDER, worker.step.refusal, (CANCELLED,), decision=True))
        if worker.step.success not in awaited and draw(st.integers(0, 3)) == 0:
            reactions.append(Reaction(DECIDER, worker.step.success, decision=draw(st.booleans())))
    if draw(st.integers(0, 4)) > 0:
        reactions.append(Reaction(DECIDER, ASKED, (CANCELLED,), decision=True))
    return ready, tuple(reactions)


@st.composite
def choreographies(draw: Draw, most: int = 3) -> Choreography:
    """A choreography with up to `most` workers and a decider; about a third of them are sound."""
    workers = draw(_workers(most))
    ready, decisions = draw(_decider(workers))
    reactions = (*(r for worker in workers for r in worker.reactions), *decisions)
    telling = [event for r in decisions for event in r.awaits if event is not ASKED]
    starting = tuple(event for event in telling if draw(st.integers(0, 6)) > 0)
    timed = (Deadline(DECIDER, (CANCELLED,), starting),) if draw(st.integers(0, 6)) else ()
    if draw(st.integers(0, 6)) == 0:
        chosen = draw(st.sampled_from(workers))
        says = (chosen.step.refusal or chosen.step.success,)
        timed = (*timed, Deadline(chosen.step.service, says, chosen.step.awaits))
    heard = {event for reaction in reactions for event in reaction.awaits}
    said = dict.fromkeys(said for reaction in reactions for said in reaction.says)
    steps = (*(worker.step for worker in workers), Step(DECIDER, ready, CREATED, CANCELLED))
    whole = Choreography(*NAMED, STARTS, CREATED, CANCELLED, ASKED, DECIDER, steps, reactions, timed)
    return replace(whole, final=tuple(event for event in said if event not in heard | whole.refusals))
