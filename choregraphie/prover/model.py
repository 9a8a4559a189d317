"""The model of a choreography: which service may hear what in an abstract run, and what it may then do. Pure.

An abstract run has no data. Its state holds what the declarations name: which events were said, which reactions
have been settled, which were carried out, which were undone. Deliveries come late and in any order; a reaction may
give up, whether or not its external call succeeded; the client may ask to cancel and a deadline may pass at any
moment. Repetitions are left out, because the inbox makes them harmless.

A join is carried out once all of its events were said. That a service keeps those that came first is no
transition: it says nothing and starts no deadline, so no rule can tell it from an event that is still on its way.
But each of them may be given up on its own, before the others were said.
"""

from collections.abc import Iterable, Iterator
from functools import reduce
from operator import or_

from choregraphie.prover.transitions import Action, Duty, Fact, State, Transition, TransitionKind
from choregraphie.saga.choreography import Choreography, Deadline, EventClass, Reaction

Outcome = tuple[TransitionKind, EventClass | None, State]


class Model:
    """The facts, actions and duties of one choreography.

    decided       the facts that the decision was said
    dead_letters  the facts that a reaction was given up without a refusal
    """

    def __init__(self, choreography: Choreography) -> None:
        self.choreography = choreography
        self.reactions = tuple(dict.fromkeys(choreography.reactions))
        self._bits: dict[tuple[Fact, object], State] = {}
        self.bits(Fact.SAID, (choreography.starts, choreography.cancel_asked, *choreography.events))
        self.dead_letters = self.bits(Fact.DEAD, self.reactions)
        self.decided = self.bits(Fact.SAID, (choreography.created, choreography.cancelled))
        self._ready = choreography.begins(choreography.decision) if choreography.decision else None
        self._undone = {r for undoing in self.reactions for r in self._taken_back_by(undoing)}
        self.actions = tuple(self._actions())
        self.duties = tuple(self._duties())

    def bit(self, fact: Fact, about: object = None) -> State:
        """The state in which this one fact holds."""
        return self._bits.setdefault((fact, about), 1 << len(self._bits))

    def bits(self, fact: Fact, about: Iterable[object]) -> State:
        """The state in which `fact` holds of each of `about`."""
        return reduce(or_, (self.bit(fact, one) for one in about), 0)

    @property
    def notes_start(self) -> bool:
        """Whether the decider hears the first event at all."""
        return any(self._hears_start(reaction) for reaction in self.reactions)

    def only_cancels(self, reaction: Reaction) -> bool:
        """Whether the decider, on hearing this, can only cancel."""
        says = reaction.says
        return self.choreography.cancelled in says and self.choreography.created not in says

    def initial(self) -> tuple[Transition, State]:
        starts = self.choreography.starts
        return Transition("client", None, TransitionKind.CLIENT_SAYS, starts), self.bit(Fact.SAID, starts)

    def is_final(self, state: State) -> bool:
        """Whether no event is pending and no deadline runs."""
        return not any(duty.is_pending(state) for duty in self.duties)

    def transitions(self, state: State) -> Iterator[tuple[Transition, State]]:
        """Everything that can happen next, with the state after it. Each adds to the state, so every run ends."""
        for action in self.actions:
            if action.is_possible(state):
                yield action.transition, state | action.adds

    def _hears_start(self, reaction: Reaction) -> bool:
        return self.choreography.decides(reaction) and self.choreography.starts in reaction.awaits

    def _taken_back_by(self, undoing: Reaction) -> Iterator[Reaction]:
        return (
            r
            for r in self.reactions
            if r.service == undoing.service and not set(undoing.undoes).isdisjoint(r.awaits)
        )

    def _duties(self) -> Iterator[Duty]:
        for reaction in self.reactions:
            yield Duty(self.bits(Fact.SAID, reaction.awaits), self.bit(Fact.SETTLED, reaction))
        for timed in self.choreography.timed:
            yield Duty(self.bit(Fact.STARTED, timed), self.bit(Fact.EXPIRED, timed) | self.decided)

    def _actions(self) -> Iterator[Action]:
        for reaction in self.reactions:
            yield from self._reacts(reaction)
        for timed in self.choreography.timed:
            expired = self.bit(Fact.EXPIRED, timed)
            for event in timed.says:
                transition = Transition(timed.service, None, TransitionKind.EXPIRES, event)
                adds = expired | self.bit(Fact.SAID, event)
                yield Action(transition, self.bit(Fact.STARTED, timed), expired | self.decided, adds)
        asked = self.choreography.cancel_asked
        said = self.bit(Fact.SAID, asked)
        yield Action(Transition("client", None, TransitionKind.CLIENT_SAYS, asked), 0, said, said)

    def _reacts(self, reaction: Reaction) -> Iterator[Action]:
        said, settled = self.bits(Fact.SAID, reaction.awaits), self.bit(Fact.SETTLED, reaction)
        undone, without = 0, settled
        if reaction in self._undone:
            undone = self.bit(Fact.UNDONE, reaction)
            without |= undone
            skips = Transition(reaction.service, reaction.hears, TransitionKind.SKIPS)
            yield Action(skips, said | undone, settled, settled | self._heard(reaction))
        outcomes = self._decide(reaction) if self.choreography.decides(reaction) else self._carry_out(reaction)
        heard = settled | self._heard(reaction)
        for needs, excludes, (kind, says, done) in outcomes:
            adds = heard | done | (self.bit(Fact.SAID, says) if says else 0)
            transition = Transition(reaction.service, reaction.hears, kind, says)
            yield Action(transition, said | needs, without | excludes, adds)
        yield self._give_up(reaction, said, without)
        if len(reaction.awaits) > 1:
            yield from (self._give_up_part(reaction, event, without) for event in reaction.awaits)

    def _heard(self, reaction: Reaction) -> State:
        """What follows from the delivery of its event, unless that became a dead letter."""
        choreography = self.choreography
        started = (timed for timed in choreography.timed if _starts_clock(reaction, timed))
        adds = self.bits(Fact.STARTED, started)
        if self.choreography.decides(reaction):
            clients = {choreography.starts, choreography.cancel_asked}
            adds |= self.bit(Fact.NOTED) if self._hears_start(reaction) else 0
            adds |= 0 if clients.issuperset(reaction.awaits) else self.bit(Fact.REPORTED)
            adds |= self.bit(Fact.CANCELLING) if self.only_cancels(reaction) else 0
            adds |= self.bit(Fact.READY) if reaction == self._ready else 0
        return adds

    def _carry_out(self, reaction: Reaction) -> Iterator[tuple[State, State, Outcome]]:
        done = self.bit(Fact.CARRIED_OUT, reaction) | self.bits(Fact.UNDONE, self._taken_back_by(reaction))
        for event in reaction.says or (None,):
            if event is not None and event is reaction.refusal:
                yield 0, 0, (TransitionKind.REFUSES, event, 0)
            else:
                yield 0, 0, (TransitionKind.CARRIES_OUT, event, done)

    def _give_up(self, reaction: Reaction, said: State, without: State) -> Action:
        says, adds = self._given_up(reaction)
        kind = TransitionKind.GIVES_UP if says else TransitionKind.SET_ASIDE
        adds |= self.bit(Fact.CARRIED_OUT, reaction)
        return Action(Transition(reaction.service, reaction.hears, kind, says), said, without, adds)

    def _give_up_part(self, reaction: Reaction, event: EventClass, without: State) -> Action:
        says, adds = self._given_up(reaction)
        kind = TransitionKind.GIVES_UP_PART if says else TransitionKind.SET_ASIDE
        return Action(Transition(reaction.service, event, kind, says), self.bit(Fact.SAID, event), without, adds)

    def _given_up(self, reaction: Reaction) -> tuple[EventClass | None, State]:
        """What it says when it gives up, and what that adds."""
        adds = self.bit(Fact.SETTLED, reaction)
        if reaction.refusal and not (reaction.undoing or reaction.decision):
            return reaction.refusal, adds | self.bit(Fact.SAID, reaction.refusal) | self._heard(reaction)
        return None, adds | self.bit(Fact.DEAD, reaction)

    def _decide(self, reaction: Reaction) -> Iterator[tuple[State, State, Outcome]]:
        """By compare-and-set, so at most once each; what came too early is kept, and completed later."""
        done = self.bit(Fact.CARRIED_OUT, reaction)
        for needs, without, open_to in self._cases(reaction):
            sayable = [event for event in open_to if event in reaction.says]
            for event in sayable:
                yield needs, without, (TransitionKind.CARRIES_OUT, event, done)
            if not sayable:
                yield needs, without, (TransitionKind.WAITS, None, done)

    def _cases(self, reaction: Reaction) -> Iterator[tuple[State, State, tuple[EventClass, ...]]]:
        """What the decider may still say on hearing this, by state; the cases exclude one another."""
        created, cancelled = self.choreography.created, self.choreography.cancelled
        is_created, is_cancelled = self.bit(Fact.SAID, created), self.bit(Fact.SAID, cancelled)
        noted, cancelling, ready = self.bit(Fact.NOTED), self.bit(Fact.CANCELLING), self.bit(Fact.READY)
        yield is_cancelled, 0, ()
        yield is_created, is_cancelled, (cancelled,) if self.only_cancels(reaction) else ()
        needs, without = 0, self.decided
        if self.notes_start and not self._hears_start(reaction):
            yield 0, without | noted, ()
            needs = noted
        if self.only_cancels(reaction):
            yield needs, without, (cancelled,)
            return
        yield needs | cancelling, without, (cancelled,)
        if reaction == self._ready:
            yield needs, without | cancelling, (created, cancelled)
            return
        yield needs | ready, without | cancelling, (created, cancelled)
        yield needs, without | cancelling | ready, ()


def _starts_clock(reaction: Reaction, timed: Deadline) -> bool:
    return reaction.service == timed.service and not set(timed.after).isdisjoint(reaction.awaits)
