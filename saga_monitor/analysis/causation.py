"""Decides which event answers which. Pure.

A cause is named on the wire by its id alone, and an id is unique only with its source: two clients may have used
one id for one order. What the choreography lets an event answer tells them apart.
"""

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from contracts.choreography import CHOREOGRAPHY


def _causes() -> dict[str, set[str]]:
    causes: dict[str, set[str]] = {}
    for reaction in CHOREOGRAPHY.reactions:
        for said in reaction.says:
            causes.setdefault(said.TYPE, set()).add(reaction.hears.TYPE)
    return causes


# For each type, the types it may be said in answer to.
CAUSES = _causes()
_TIMED = {(said.TYPE, after.TYPE) for timed in CHOREOGRAPHY.timed for said in timed.says for after in timed.after}


def may_answer(type_: str, cause: str) -> bool:
    """Whether the choreography lets an event of `type_` answer one of type `cause`."""
    return cause in CAUSES.get(type_, ()) or (type_, cause) in _TIMED


class _Event(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def causationid(self) -> str | None: ...
    @property
    def offset(self) -> int: ...


E = TypeVar("E", bound=_Event)


class Causes(Generic[E]):
    """The events of one order, by id, for whoever names one as its cause. The first of those given comes first."""

    def __init__(self, events: Iterable[E]) -> None:
        self._of_id: dict[str, list[E]] = {}
        for event in events:
            self._of_id.setdefault(event.id, []).append(event)

    def named(self, id_: str | None) -> list[E]:
        """The events with that id."""
        return self._of_id.get(id_, []) if id_ else []

    def possible(self, event: E) -> list[E]:
        """The events that `event` may answer; when it may answer none of those that it names, all of these."""
        named = self.named(event.causationid)
        return [cause for cause in named if may_answer(event.type, cause.type)] or named

    def of(self, event: E) -> E | None:
        """The event that this one answers, when it says so and it was heard.

        Of several the first of each type, for only that one has an effect; of these the last before `event`.
        """
        first = {cause.type: cause for cause in reversed(self.possible(event))}.values()
        before = [cause for cause in first if cause.offset < event.offset]
        return max(before or first, key=lambda cause: cause.offset, default=None)
