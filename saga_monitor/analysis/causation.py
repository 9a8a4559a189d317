"""Decides which event answers which. Pure.

On the wire an event names its cause by id alone, but an id is unique only together with its source: two clients
may use the same id for the same instance. The choreography's rules of what may answer what tell them apart.
"""

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from choregraphie.saga.choreography import Choreography


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
    """Finds the cause of an event among the events of one instance."""

    def __init__(self, choreography: Choreography, events: Iterable[E]) -> None:
        self._may_answer = choreography.may_answer
        self._of_id: dict[str, list[E]] = {}
        for event in events:
            self._of_id.setdefault(event.id, []).append(event)

    def named(self, id_: str | None) -> list[E]:
        """The events with that id."""
        return self._of_id.get(id_, []) if id_ else []

    def possible(self, event: E) -> list[E]:
        """The events with the id of `event`'s cause: those that it may answer or, if there are none, all."""
        named = self.named(event.causationid)
        return [cause for cause in named if self._may_answer(event.type, cause.type)] or named

    def of(self, event: E) -> E | None:
        """The event that `event` answers; None when it names none, or one that was not heard.

        Several events may have the id. Only the first of each type has an effect, so the others do not count; of
        these first ones, the last before `event` is its cause.
        """
        first = {cause.type: cause for cause in reversed(self.possible(event))}.values()
        before = [cause for cause in first if cause.offset < event.offset]
        return max(before or first, key=lambda cause: cause.offset, default=None)
