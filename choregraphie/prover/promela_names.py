"""The names of a choreography's state in Promela, and the conditions that its model and its rules share. Pure."""

from collections.abc import Iterable

from choregraphie.prover.identifiers import identifiers
from choregraphie.saga.choreography import Choreography, Deadline, EventClass, Reaction


class Names:
    """One bit of state each: an event was said, a reaction has heard it, carried out, was undone, gave up."""

    def __init__(self, choreography: Choreography) -> None:
        self.choreography = choreography
        self.reactions = tuple(dict.fromkeys(choreography.reactions))
        known = (choreography.starts, choreography.cancel_asked, choreography.created, choreography.cancelled)
        of_steps = (event for step in choreography.steps for event in (step.success, step.undone) if event)
        self.events = tuple(dict.fromkeys((*known, *choreography.events, *of_steps)))
        self._events = identifiers(self.events, lambda event: event.TYPE)
        self._services = identifiers(
            [*choreography.services, *(r.service for r in self.reactions)], lambda service: service
        )
        self._reactions = identifiers(
            self.reactions, lambda r: f"{r.service}_on_{'_and_'.join(event.TYPE for event in r.awaits)}"
        )
        self.deadlines = tuple(dict.fromkeys(choreography.timed))
        self._decisions = [r for r in self.reactions if self.choreography.decides(r)]

    def service(self, service: str) -> str:
        return f"service_{self._services[service]}"

    def said(self, event: EventClass) -> str:
        return f"said_{self._events[event]}"

    def taken(self, reaction: Reaction) -> str:
        return f"taken_{self._reactions[reaction]}"

    def done(self, reaction: Reaction) -> str:
        return f"done_{self._reactions[reaction]}"

    def tombstone(self, reaction: Reaction) -> str:
        return f"tombstone_{self._reactions[reaction]}"

    def dead(self, reaction: Reaction) -> str:
        return f"dead_{self._reactions[reaction]}"

    def expired(self, deadline: Deadline) -> str:
        return f"expired_{self.deadlines.index(deadline)}"

    def bits(self) -> dict[str, list[str]]:
        """Every bit of the state, by what its kind means."""
        return {
            "published: from now on every service that hears it may receive it": list(map(self.said, self.events)),
            "in the inbox; for a join, the last of its events": [self.taken(r) for r in self.reactions],
            "carried out and not undone, or perhaps: a reaction that gave up may have made its external call": [
                self.done(r) for r in self.reactions
            ],
            "undone: what comes after that does nothing": [
                self.tombstone(r) for r in self.reactions if self.is_taken_back(r)
            ],
            "given up without a refusal: a dead letter, which needs a person": [
                self.dead(r) for r in self.reactions
            ],
            "a deadline has passed": [self.expired(deadline) for deadline in self.deadlines],
        }

    def definitions(self) -> dict[str, str]:
        """The conditions that guards and formulas share."""
        heard = {self.heard(r): all_of([self.taken(r), f"!{self.dead(r)}"]) for r in self.reactions}
        decided = any_of([self.said(self.choreography.created), self.said(self.choreography.cancelled)])
        return heard | {
            "decided": decided,
            "noted": self.noted(),
            "refused": self.refused(),
            "ready": self.ready(),
        }

    def heard(self, reaction: Reaction) -> str:
        """The service has heard all that `reaction` waits for, and no person need act on it."""
        return f"heard_{self._reactions[reaction]}"

    def runs(self, deadline: Deadline) -> str:
        """The deadline runs: its service has heard one of its events. The decider's own ends with the decision."""
        own = [r for r in self.reactions if r.service == deadline.service]
        began = any_of(self.heard(r) for r in own if set(r.awaits) & set(deadline.after))
        waits = ["!decided"] if deadline.service == self.choreography.decider else []
        return all_of([began, f"!{self.expired(deadline)}", *waits])

    def takes_back(self, undoing: Reaction, reaction: Reaction) -> bool:
        return undoing.service == reaction.service and bool(set(reaction.awaits) & set(undoing.undoes))

    def is_taken_back(self, reaction: Reaction) -> bool:
        return any(self.takes_back(other, reaction) for other in self.reactions)

    def noted(self, now: Reaction | None = None) -> str:
        """The decider has heard the first event; `now` is a reaction that it is about to carry out."""
        noting = [r for r in self._decisions if self.choreography.starts in r.awaits]
        return self._heard_one(noting, now) if noting else "true"

    def refused(self, now: Reaction | None = None) -> str:
        """The decider has heard something for which it cancels."""
        return self._heard_one([r for r in self._decisions if self.cancels(r)], now)

    def ready(self, now: Reaction | None = None) -> str:
        """The decider has heard everything that its own step comes after."""
        step = next((step for step in self.choreography.steps if step.success is self.choreography.created), None)
        awaits = step.awaits if step else ()
        hearing = ([r for r in self._decisions if event in r.awaits] for event in awaits)
        return all_of(self._heard_one(decisions, now) for decisions in hearing)

    def cancels(self, decision: Reaction) -> bool:
        """Whether the decider, on hearing this, may cancel, and may not create."""
        choreography = self.choreography
        no = choreography.created not in decision.says or set(decision.awaits) & choreography.refusals
        return choreography.cancelled in decision.says and bool(no)

    def _heard_one(self, decisions: list[Reaction], now: Reaction | None) -> str:
        return "true" if now in decisions else any_of(map(self.heard, decisions))


def any_of(conditions: Iterable[str]) -> str:
    parts = tuple(dict.fromkeys(conditions))
    if "true" in parts:
        return "true"
    return _joined([part for part in parts if part != "false"], " || ") or "false"


def all_of(conditions: Iterable[str]) -> str:
    parts = tuple(dict.fromkeys(conditions))
    if "false" in parts:
        return "false"
    return _joined([part for part in parts if part != "true"], " && ") or "true"


def _joined(parts: list[str], operator: str) -> str:
    return f"({operator.join(parts)})" if len(parts) > 1 else "".join(parts)
