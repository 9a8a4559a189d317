"""What can happen next in an abstract run of one order: who may hear what, and what each may then do. Pure.

A run forgets the data and keeps what the declarations speak of: which events were said, who has dealt with
which, what was carried out, what was taken back. Deliveries come in any order and late; a reaction may give
up, after having reached the outside world or not; the client may ask to cancel and the clock may strike at
any moment. Repetitions are left out: the inbox makes them harmless.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from choregraphie.saga.choreography import Choreography, Deadline, EventClass, Reaction


class Doing(StrEnum):
    """What a move is, for whoever reads a run."""

    SPEAKS = "speaks"  # the client
    CARRIES_OUT = "carries out"
    REFUSES = "refuses"
    GIVES_UP = "gives up"  # and says its refusal; what its call did is not known
    SET_ASIDE = "sets aside"  # gives up in silence: a dead letter, and a person is needed
    SKIPS = "skips"  # taken back before it came
    WAITS = "waits"  # a decider that cannot decide yet, or has decided before
    STRIKES = "strikes"  # the clock


class Transition(NamedTuple):
    """`service` hears `hears` (None: the client speaks, or the clock strikes) and says `says`, or nothing."""

    service: str
    hears: EventClass | None
    doing: Doing
    says: EventClass | None = None


class State(NamedTuple):
    """Sets as bits: of events in `said`, of clocks in `struck`, of reactions in the others.

    `settled`: heard and dealt with, or given up. `carried`: carried out, or perhaps. `undone`: taken back, or
    barred by a tombstone. `dead`: given up in silence.
    """

    said: int = 0
    settled: int = 0
    carried: int = 0
    undone: int = 0
    dead: int = 0
    struck: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class _Line:
    """A reaction with its bit, the bit of what it hears, and the bits of what it takes back."""

    reaction: Reaction
    bit: int
    heard: int
    undoes: int


Outcome = tuple[Doing, EventClass | None, State]


class Model:
    """The moves of one choreography."""

    def __init__(self, choreography: Choreography) -> None:
        self.choreography = choreography
        self.reactions = choreography.reactions
        known = (choreography.starts, choreography.cancel_asked, *choreography.events)
        self._event_bits = {event: 1 << n for n, event in enumerate(dict.fromkeys(known))}
        self._bits = {reaction: 1 << n for n, reaction in enumerate(self.reactions)}
        self._lines = [
            _Line(r, bit, self._event_bits[r.hears], self.bits(self._taken_back_by(r)))
            for r, bit in self._bits.items()
        ]
        self._clocks = {
            timed: (1 << n, self.bits(r for r in self.reactions if _starts(r, timed)))
            for n, timed in enumerate(choreography.timed)
        }
        self._decisions = [r for r in self.reactions if self.decides(r)]
        decider = choreography.step(choreography.decider)
        ready = decider.after if decider else None
        self._knows = self.bits(r for r in self._decisions if r.hears is choreography.starts)
        self._ready = self.bits(r for r in self._decisions if r.hears is ready)
        clients = (choreography.starts, choreography.cancel_asked)
        self._told = self.bits(r for r in self._decisions if r.hears not in clients)
        self._dooms = self.bits(r for r in self._decisions if self.dooms(r))
        self._created = self._event_bits.get(choreography.created, 0)
        self._cancelled = self._event_bits.get(choreography.cancelled, 0)

    def bits(self, reactions: Iterable[Reaction]) -> int:
        return sum(self._bits[reaction] for reaction in set(reactions))

    def of(self, bits: int) -> Iterator[Reaction]:
        """The reactions of a set."""
        return (reaction for reaction, bit in self._bits.items() if bits & bit)

    def decides(self, reaction: Reaction) -> bool:
        return reaction.decision and reaction.service == self.choreography.decider

    def dooms(self, reaction: Reaction) -> bool:
        """Whether the decider, hearing this, can only cancel."""
        says = reaction.says
        return self.choreography.cancelled in says and self.choreography.created not in says

    def _taken_back_by(self, undoing: Reaction) -> Iterator[Reaction]:
        return (r for r in self.reactions if r.service == undoing.service and r.hears in undoing.undoes)

    def said(self, state: State, event: EventClass) -> bool:
        return bool(state.said & self._event_bits.get(event, 0))

    def decided(self, state: State) -> bool:
        return bool(state.said & (self._created | self._cancelled))

    def knows(self, state: State) -> bool:
        """Whether the decider has taken note of the order."""
        return bool(self._knows & state.settled & ~state.dead)

    def told_by_a_service(self, state: State) -> bool:
        """Whether the decider has heard of the order from somebody who works on it; a client may name any."""
        return bool(self._told & state.settled & ~state.dead)

    @property
    def takes_note(self) -> bool:
        """Whether the decider hears the order itself at all."""
        return bool(self._knows)

    def begin(self) -> tuple[Transition, State]:
        starts = self.choreography.starts
        return Transition("client", None, Doing.SPEAKS, starts), State(said=self._event_bits[starts])

    def quiet(self, state: State) -> bool:
        """Whether nothing is on its way and no clock runs."""
        return not self._awaited(state) and not any(self.clocks(state))

    def _awaited(self, state: State) -> list[_Line]:
        """The reactions whose event was said and has not been dealt with."""
        return [line for line in self._lines if state.said & line.heard and not state.settled & line.bit]

    def clocks(self, state: State) -> Iterator[Deadline]:
        """The clocks that run: their event was heard by their service, and nothing is decided."""
        if self.decided(state):
            return
        heard = state.settled & ~state.dead
        for timed, (bit, after) in self._clocks.items():
            if after & heard and not state.struck & bit:
                yield timed

    def moves(self, state: State) -> Iterator[tuple[Transition, State]]:
        """Everything that can happen next. Each move settles, strikes or asks for good, so every run ends."""
        for line in self._awaited(state):
            yield from self._deal_with(line, state)
        for timed in self.clocks(state):
            struck = state._replace(struck=state.struck | self._clocks[timed][0])
            for event in timed.says:
                yield Transition(timed.service, None, Doing.STRIKES, event), self._outbox_event(struck, event)
        asked = self.choreography.cancel_asked
        if not self.said(state, asked):
            yield Transition("client", None, Doing.SPEAKS, asked), self._outbox_event(state, asked)

    def _outbox_event(self, state: State, event: EventClass | None) -> State:
        return state._replace(said=state.said | self._event_bits[event]) if event else state

    def _deal_with(self, line: _Line, before: State) -> Iterator[tuple[Transition, State]]:
        reaction = line.reaction
        state = before._replace(settled=before.settled | line.bit)
        if before.undone & line.bit:
            yield Transition(reaction.service, reaction.hears, Doing.SKIPS), state
            return
        act = self._decide if self.decides(reaction) else self._carry_out
        for doing, says, after in (*act(line, state), *self._give_up(line, state)):
            yield Transition(reaction.service, reaction.hears, doing, says), self._outbox_event(after, says)

    def _carry_out(self, line: _Line, state: State) -> Iterator[Outcome]:
        done = state._replace(carried=state.carried | line.bit, undone=state.undone | line.undoes)
        for event in line.reaction.says or (None,):
            if event is not None and event is line.reaction.refusal:
                yield Doing.REFUSES, event, state
            else:
                yield Doing.CARRIES_OUT, event, done

    def _give_up(self, line: _Line, state: State) -> Iterator[Outcome]:
        perhaps = state._replace(carried=state.carried | line.bit)
        reaction = line.reaction
        if reaction.refusal and not (reaction.undoing or reaction.decision):
            yield Doing.GIVES_UP, reaction.refusal, perhaps
        else:
            yield Doing.SET_ASIDE, None, perhaps._replace(dead=state.dead | line.bit)

    def _decide(self, line: _Line, state: State) -> Iterator[Outcome]:
        """By compare-and-set, so at most once each; what came too early is kept and completed later."""
        may = [event for event in self._open_to(line.reaction, state) if event in line.reaction.says]
        done = state._replace(carried=state.carried | line.bit)
        for event in may:
            yield Doing.CARRIES_OUT, event, done
        if not may:
            yield Doing.WAITS, None, done

    def _open_to(self, reaction: Reaction, state: State) -> tuple[EventClass, ...]:
        """What the decider may still say."""
        heard = state.settled & ~state.dead
        created, cancelled = self.choreography.created, self.choreography.cancelled
        if state.said & self._cancelled:
            return ()
        if state.said & self._created:
            return (cancelled,) if self.dooms(reaction) else ()
        if self._knows and not self.knows(state):
            return ()
        if heard & self._dooms:
            return (cancelled,)
        return (created, cancelled) if heard & self._ready else ()


def _starts(reaction: Reaction, timed: Deadline) -> bool:
    return reaction.service == timed.service and reaction.hears in timed.after
