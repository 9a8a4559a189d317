"""The journal entries of one action for one saga instance, as data."""

import datetime as dt
from enum import StrEnum
from typing import Any, NamedTuple

from choregraphie.saga.envelope import Instance


class State(StrEnum):
    """The state of an action for one saga instance."""

    BEGUN = "begun"  # its external call may have happened; its outcome is not known yet
    DONE = "done"
    REFUSED = "refused"
    UNDONE = "undone"
    TOMBSTONE = "tombstone"  # undone before it was done: the late action does nothing


# The states of an action that was carried out, or may have been, and is not undone.
UNDOABLE = (State.BEGUN, State.DONE)


class Entry(NamedTuple):
    """The journal's entry about one action of an instance. A tuple, because hundreds are read for each batch."""

    saga: str
    key: str
    action: str
    state: State
    at: dt.datetime
    data: dict[str, Any]
    cause: str | None = None
    undone_at: dt.datetime | None = None
    undone_by: str | None = None
    cause_source: str | None = None

    @property
    def instance(self) -> Instance:
        """The instance that the action was carried out for."""
        return Instance(self.saga, self.key)
