"""The transitions of an abstract run of one instance: which service may hear what, and what it may then do. Pure.

An abstract run has no data. Its state holds what the declarations name: which events were said, which reactions
have been settled, which were carried out, which were undone. Deliveries come late and in any order; a reaction may
give up, whether or not its external call succeeded; the client may ask to cancel and a deadline may pass at any
moment. Repetitions are left out, because the inbox makes them harmless.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from choregraphie.saga.choreography import Choreography, Deadline, EventClass, Reaction


class TransitionKind(StrEnum):
    """What happens in a transition, for the report of a run."""

    CLIENT_SAYS = "client says"
    CARRIES_OUT = "carries out"
    REFUSES = "refuses"
    GIVES_UP = "gives up"  # and says its refusal; whether its external call succeeded is unknown
    SET_ASIDE = "sets aside"  # gives up and says nothing: a dead letter, which needs a person
    SKIPS = "skips"  # undone before it came
    WAITS = "waits"  # a decider that cannot decide yet, or has decided before
    EXPIRES = "expires"  # a deadline


class Transition(NamedTuple):
    """`service` hears `hears` and says `says` or nothing. Without `hears`: a client, or a deadline that passes."""

    service: str
    hears: EventClass | None
    kind: TransitionKind
    says: EventClass | None = None


class State(NamedTuple):
    """Sets as bits: of events in `said`, of deadlines in `expired`, of reactions in the others.

    settled      heard, and carried out, refused, skipped or given up
    carried_out  carried out, or perhaps: a reaction that gave up may have made its external call
    undone       undone, or stopped by a tombstone
    dead         given up without a refusal
    """

    said: int = 0
    settled: int = 0
    carried_out: int = 0
    undone: int = 0
    dead: int = 0
    expired: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class _Indexed:
    """A reaction with its bit, the bit of the event it hears, and the bits of the reactions it undoes."""

    reaction: Reaction
    bit: int
    heard: int
    undoes: int


Outcome = tuple[TransitionKind, EventClass | None, State]


class Model:
    """The transitions of one choreography."""

    def __init__(self, choreography: Choreography) -> None:
        self.choreography = choreography
        self.reactions = choreography.reactions
        known = (choreography.starts, choreography.cancel_asked, *choreography.events)
        self._event_bits = {event: 1 << n for n, event in enumerate(dict.fromkeys(known))}
        self._bits = {reaction: 1 << n for n, reaction in enumerate(self.reactions)}
        self._indexed = [
            _Indexed(r, bit, self._event_bits[r.hears], self.bits(self._taken_back_by(r)))
            for r, bit in self._bits.items()
        ]
        self._deadlines = {
            timed: (1 << n, self.bits(r for r in self.reactions if _starts_clock(r, timed)))
            for n, timed in enumerate(choreography.timed)
        }
        self._decisions = [r for r in self.reactions if self.decides(r)]
        decider = choreography.step(choreography.decider)
        ready = decider.after if decider else None
        self._noting = self.bits(r for r in self._decisions if r.hears is choreography.starts)
        self._ready = self.bits(r for r in self._decisions if r.hears is ready)
        clients = (choreography.starts, choreography.cancel_asked)
        self._service_reports = self.bits(r for r in self._decisions if r.hears not in clients)
        self._cancelling = self.bits(r for r in self._decisions if self.only_cancels(r))
        self._created = self._event_bits.get(choreography.created, 0)
        self._cancelled = self._event_bits.get(choreography.cancelled, 0)

    def bits(self, reactions: Iterable[Reaction]) -> int:
        return sum(self._bits[reaction] for reaction in set(reactions))

    def of(self, bits: int) -> Iterator[Reaction]:
        """The reactions of the set `bits`."""
        return (reaction for reaction, bit in self._bits.items() if bits & bit)

    def decides(self, reaction: Reaction) -> bool:
        return reaction.decision and reaction.service == self.choreography.decider

    def only_cancels(self, reaction: Reaction) -> bool:
        """Whether the decider, on hearing this, can only cancel."""
        says = reaction.says
        return self.choreography.cancelled in says and self.choreography.created not in says

    def _taken_back_by(self, undoing: Reaction) -> Iterator[Reaction]:
        return (r for r in self.reactions if r.service == undoing.service and r.hears in undoing.undoes)

    def said(self, state: State, event: EventClass) -> bool:
        return bool(state.said & self._event_bits.get(event, 0))

    def decided(self, state: State) -> bool:
        return bool(state.said & (self._created | self._cancelled))

    def has_noted(self, state: State) -> bool:
        """Whether the decider has heard the first event of the instance."""
        return bool(self._noting & state.settled & ~state.dead)

    def heard_from_a_service(self, state: State) -> bool:
        """Whether the decider has heard of the instance from a service; a client may name any."""
        return bool(self._service_reports & state.settled & ~state.dead)

    @property
    def notes_orders(self) -> bool:
        """Whether the decider hears the first event at all."""
        return bool(self._noting)

    def initial(self) -> tuple[Transition, State]:
        starts = self.choreography.starts
        return Transition("client", None, TransitionKind.CLIENT_SAYS, starts), State(said=self._event_bits[starts])

    def is_final(self, state: State) -> bool:
        """Whether no event is pending and no deadline runs."""
        return not self._pending(state) and not any(self.running_deadlines(state))

    def _pending(self, state: State) -> list[_Indexed]:
        """The reactions whose event was said and that are not settled."""
        return [
            indexed for indexed in self._indexed if state.said & indexed.heard and not state.settled & indexed.bit
        ]

    def running_deadlines(self, state: State) -> Iterator[Deadline]:
        """The deadlines that run: their service has heard their event, and nothing is decided."""
        if self.decided(state):
            return
        heard = state.settled & ~state.dead
        for timed, (bit, after) in self._deadlines.items():
            if after & heard and not state.expired & bit:
                yield timed

    def transitions(self, state: State) -> Iterator[tuple[Transition, State]]:
        """Everything that can happen next, with the state after it. Each adds to the state, so every run ends."""
        for indexed in self._pending(state):
            yield from self._handle(indexed, state)
        for timed in self.running_deadlines(state):
            expired = state._replace(expired=state.expired | self._deadlines[timed][0])
            for event in timed.says:
                yield Transition(timed.service, None, TransitionKind.EXPIRES, event), self._say(expired, event)
        asked = self.choreography.cancel_asked
        if not self.said(state, asked):
            yield Transition("client", None, TransitionKind.CLIENT_SAYS, asked), self._say(state, asked)

    def _say(self, state: State, event: EventClass | None) -> State:
        return state._replace(said=state.said | self._event_bits[event]) if event else state

    def _handle(self, indexed: _Indexed, before: State) -> Iterator[tuple[Transition, State]]:
        reaction = indexed.reaction
        state = before._replace(settled=before.settled | indexed.bit)
        if before.undone & indexed.bit:
            yield Transition(reaction.service, reaction.hears, TransitionKind.SKIPS), state
            return
        act = self._decide if self.decides(reaction) else self._carry_out
        for kind, says, after in (*act(indexed, state), *self._give_up(indexed, state)):
            yield Transition(reaction.service, reaction.hears, kind, says), self._say(after, says)

    def _carry_out(self, indexed: _Indexed, state: State) -> Iterator[Outcome]:
        done = state._replace(carried_out=state.carried_out | indexed.bit, undone=state.undone | indexed.undoes)
        for event in indexed.reaction.says or (None,):
            if event is not None and event is indexed.reaction.refusal:
                yield TransitionKind.REFUSES, event, state
            else:
                yield TransitionKind.CARRIES_OUT, event, done

    def _give_up(self, indexed: _Indexed, state: State) -> Iterator[Outcome]:
        maybe_done = state._replace(carried_out=state.carried_out | indexed.bit)
        reaction = indexed.reaction
        if reaction.refusal and not (reaction.undoing or reaction.decision):
            yield TransitionKind.GIVES_UP, reaction.refusal, maybe_done
        else:
            yield TransitionKind.SET_ASIDE, None, maybe_done._replace(dead=state.dead | indexed.bit)

    def _decide(self, indexed: _Indexed, state: State) -> Iterator[Outcome]:
        """By compare-and-set, so at most once each; what came too early is kept, and completed later."""
        sayable = [event for event in self._open_to(indexed.reaction, state) if event in indexed.reaction.says]
        done = state._replace(carried_out=state.carried_out | indexed.bit)
        for event in sayable:
            yield TransitionKind.CARRIES_OUT, event, done
        if not sayable:
            yield TransitionKind.WAITS, None, done

    def _open_to(self, reaction: Reaction, state: State) -> tuple[EventClass, ...]:
        """What the decider may still say."""
        heard = state.settled & ~state.dead
        created, cancelled = self.choreography.created, self.choreography.cancelled
        if state.said & self._cancelled:
            return ()
        if state.said & self._created:
            return (cancelled,) if self.only_cancels(reaction) else ()
        if self._noting and not self.has_noted(state):
            return ()
        if heard & self._cancelling:
            return (cancelled,)
        return (created, cancelled) if heard & self._ready else ()


def _starts_clock(reaction: Reaction, timed: Deadline) -> bool:
    return reaction.service == timed.service and reaction.hears in timed.after
