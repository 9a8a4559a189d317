"""What can happen in an abstract run of one instance, as data: facts, transitions, actions and duties. Pure.

A state is a set of facts, and a transition only adds to it. So a transition is declared as three sets: the facts
that it needs, those that exclude it, and those that it adds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from choregraphie.saga.choreography import Awaited, EventClass


class TransitionKind(StrEnum):
    """What happens in a transition, for the report of a run."""

    CLIENT_SAYS = "client says"
    CARRIES_OUT = "carries out"
    REFUSES = "refuses"
    GIVES_UP = "gives up"  # and says its refusal; whether its external call succeeded is unknown
    GIVES_UP_PART = "gives up a part"  # of a join, before the others came: the same, and no call was made
    SET_ASIDE = "sets aside"  # gives up and says nothing: a dead letter, which needs a person
    SKIPS = "skips"  # undone before it came
    WAITS = "waits"  # a decider that cannot decide yet, or has decided before
    EXPIRES = "expires"  # a deadline


# Its event becomes a dead letter.
GIVEN_UP = {TransitionKind.GIVES_UP, TransitionKind.GIVES_UP_PART, TransitionKind.SET_ASIDE}


class Transition(NamedTuple):
    """`service` hears `hears` and says `says` or nothing. Without `hears`: a client, or a deadline that passes."""

    service: str
    hears: Awaited | None
    kind: TransitionKind
    says: EventClass | None = None

    @property
    def heard(self) -> tuple[EventClass, ...]:
        """The events that it hears: none, one, or those of a join."""
        if self.hears is None:
            return ()
        return self.hears if isinstance(self.hears, tuple) else (self.hears,)


class Fact(StrEnum):
    """What can be known of a run: each about an event, a reaction, a deadline, or the decider alone."""

    SAID = "an event was said"
    SETTLED = "a reaction was carried out, refused, skipped or given up"
    CARRIED_OUT = "it was carried out, or perhaps: one that gave up may have made its external call"
    UNDONE = "it was undone, or stopped by a tombstone"
    DEAD = "it was given up without a refusal"
    STARTED = "a deadline's service has heard an event that starts it"
    EXPIRED = "a deadline has passed"
    NOTED = "the decider has heard the first event of the instance"
    REPORTED = "the decider has heard of the instance from a service; a client may name any"
    CANCELLING = "the decider has heard an event on which it can only cancel"
    READY = "the decider has heard all events that its step comes after"


State = int


@dataclass(frozen=True, eq=False, slots=True)
class Action:
    """`transition` is possible in a state that has all of `needs` and none of `without`; it adds `adds`."""

    transition: Transition
    needs: State
    without: State
    adds: State

    def is_possible(self, state: State) -> bool:
        return state & self.needs == self.needs and not state & self.without


@dataclass(frozen=True, slots=True)
class Duty:
    """What must still happen in a state that has all of `needs`: something that adds one of `done`."""

    needs: State
    done: State

    def is_pending(self, state: State) -> bool:
        return state & self.needs == self.needs and not state & self.done


def single(facts: State) -> Iterator[State]:
    """Each of `facts` on its own."""
    while facts:
        yield facts & -facts
        facts &= facts - 1
