"""What a reaction sees of the database: declared rows and the journal of its instance, in memory."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from choregraphie.saga.envelope import Event, Instance
from choregraphie.saga.ids import derived_id
from choregraphie.service.action import UNDOABLE, Entry, State
from choregraphie.service.rows import R, Row

React = Callable[..., Iterable[Event]]


@dataclass(frozen=True)
class TimeLimits:
    """How long an instance may wait for its decision.

    `steps`: in how many seconds the named steps of an orchestration must answer, other than declared.
    """

    deadline: dt.timedelta
    steps: Mapping[str, float]


class Rows(Protocol):
    """The rows that were loaded for a batch."""

    def find(self, cls: type[R], key: str) -> R | None: ...

    def add(self, row: Row) -> None: ...


class Actions(Protocol):
    """The journal entries of the instances of a batch."""

    def entry(self, instance: Instance, action: str) -> Entry | None: ...

    def undo(self, instance: Instance, action: str, by: str, now: dt.datetime) -> Entry | None: ...


class ReadView:
    """A read-only view of the rows and of one instance's journal. `now` is the time of the transaction."""

    def __init__(
        self, unit: Rows, journal: Actions, *, service: str, action: str, instance: Instance, now: dt.datetime
    ) -> None:
        self._unit = unit
        self._journal = journal
        self._service = service
        self._action = action
        self.instance = instance
        self.now = now
        # What the reaction hears: an event, or a tuple of them.
        self.heard: Any = None

    def find(self, cls: type[R], key: str) -> R | None:
        """The row, or None. Raises RowNotDeclared when `reads` does not name it."""
        return self._unit.find(cls, key)

    def begun(self, action: React) -> bool:
        """Whether `action` was carried out for this instance, or may have been (its call may be under way)."""
        entry = self._journal.entry(self.instance, action.__name__)
        return entry is not None and entry.state in UNDOABLE

    def idempotency_key(self, action: React | None = None) -> str:
        """The idempotency key of `action` for this instance; by default of the current action."""
        name = action.__name__ if action else self._action
        return f"{self._service}:{name}:{self.instance.key}"


class Transaction(ReadView):
    """The view with which a reaction writes. `deadline`: that of an instance which begins now, by `limits`.

    Its ids are derived from the action and from `origin`: the source and the id of the event heard. They begin
    with `heard_time`, the time that this event gives.
    """

    def __init__(  # noqa: PLR0913 - it is made once for each delivery, and passing a dictionary on takes longer
        self,
        unit: Rows,
        journal: Actions,
        *,
        service: str,
        action: str,
        instance: Instance,
        now: dt.datetime,
        cause: str,
        origin: tuple[str, ...],
        heard_time: dt.datetime | None,
        limits: TimeLimits,
    ) -> None:
        super().__init__(unit, journal, service=service, action=action, instance=instance, now=now)
        self._cause = cause
        self._origin = origin
        self._heard_time = heard_time
        self.limits = limits
        self.deadline = self.now + limits.deadline
        self.noted: dict[str, Any] = {}
        self.undone: set[str] = set()

    @property
    def cause(self) -> str:
        """The id of the event heard."""
        return self._cause

    def add(self, row: Row) -> None:
        """Insert a row. Raises ValueError when it exists."""
        self._unit.add(row)

    def note(self, **data: Any) -> None:
        """Keep `data` (JSON values) in the journal entry of this action, for the reaction that undoes it."""
        self.noted |= data

    def undo(self, action: React) -> dict[str, Any] | None:
        """Mark `action` as undone and return what it noted, or None when it was not done.

        An action that has not begun leaves a tombstone: when its event arrives late, it does nothing.
        """
        self.undone.add(action.__name__)
        entry = self._journal.undo(self.instance, action.__name__, self._cause, self.now)
        return entry.data if entry is not None and entry.state is State.DONE else None

    def new_id(self, kind: str) -> str:
        """An id for something that this action creates, the same when the action is executed again."""
        return self.derive(kind)

    def derive(self, *parts: str) -> str:
        """The id of the thing that `parts` identify among all that this action creates."""
        return derived_id(self._service, self._action, *self._origin, *parts, time=self._heard_time)


def refusal_after(cls: type[Event], key: str, tries: int) -> Event:
    """The refusal of a step that was given up after `tries` tries; every refusal has the field REASON."""
    return cls.model_validate({cls.KEY: key, cls.REASON: cls.GIVEN_UP.format(tries=tries)})
