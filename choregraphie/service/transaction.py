"""What a reaction sees of the database: declared rows and the journal of its order, in memory."""

import datetime as dt
import hashlib
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from choregraphie.saga.envelope import Event
from choregraphie.service.action import UNDOABLE, Entry, State
from choregraphie.service.rows import R, Row

React = Callable[..., Iterable[Event]]

_NAMESPACE = uuid.UUID("6f0f3a1e-6c8e-5d0a-9b7e-3f5f0d3c1a52").bytes


def derived_id(*parts: str) -> str:
    """An id derived from `parts` alone, so that executing something again gives the same ids.

    A UUID of version 5 (RFC 9562, 5.5), formatted without a UUID object, whose creation takes most of the time.
    """
    digest = hashlib.sha1(_NAMESPACE + "\x1f".join(parts).encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


class Rows(Protocol):
    """The rows that were loaded for a batch."""

    def find(self, cls: type[R], key: str) -> R | None: ...

    def add(self, row: Row) -> None: ...


class Actions(Protocol):
    """The journal entries of the orders of a batch."""

    def entry(self, commande_id: str, action: str) -> Entry | None: ...

    def undo(self, commande_id: str, action: str, by: str, now: dt.datetime) -> Entry | None: ...


class ReadView:
    """A read-only view of the rows and of one order's journal. `now` is the time of the transaction."""

    def __init__(
        self, unit: Rows, journal: Actions, *, service: str, action: str, order: str, now: dt.datetime
    ) -> None:
        self._unit = unit
        self._journal = journal
        self._service = service
        self._action = action
        self._order = order
        self.now = now

    def find(self, cls: type[R], key: str) -> R | None:
        """The row, or None. Raises RowNotDeclared when `reads` does not name it."""
        return self._unit.find(cls, key)

    def begun(self, action: React) -> bool:
        """Whether `action` was carried out for this order, or may have been (its call may be under way)."""
        entry = self._journal.entry(self._order, action.__name__)
        return entry is not None and entry.state in UNDOABLE

    def key(self, action: React | None = None) -> str:
        """The idempotency key of `action` for this order; by default of the current action."""
        name = action.__name__ if action else self._action
        return f"{self._service}:{name}:{self._order}"


class Transaction(ReadView):
    """The view with which a reaction writes. `deadline` is the deadline of an order that begins now.

    Its ids are derived from the action and from `origin`: the source and the id of the event heard.
    """

    def __init__(
        self, *args: Any, cause: str, origin: tuple[str, ...], deadline: dt.datetime, **more: Any
    ) -> None:
        super().__init__(*args, **more)
        self._cause = cause
        self._origin = origin
        self.deadline = deadline
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
        entry = self._journal.undo(self._order, action.__name__, self._cause, self.now)
        return entry.data if entry is not None and entry.state is State.DONE else None

    def new_id(self, kind: str) -> str:
        """An id for something that this action creates, the same when the action is executed again."""
        return self.derive(kind)

    def derive(self, *parts: str) -> str:
        """The id of the thing that `parts` identify among all that this action creates."""
        return derived_id(self._service, self._action, *self._origin, *parts)


def refusal(cls: type[Event], commande_id: str, raison: str) -> Event:
    """The refusal of a step that was given up; every refusal has a `raison`."""
    return cls.model_validate({"commande_id": commande_id, "raison": raison})
