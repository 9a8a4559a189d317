"""The journal entries of one action for one saga instance, as data."""

import datetime as dt
from enum import StrEnum
from typing import Any, NamedTuple


class State(StrEnum):
    """What is known of an action for an order."""

    BEGUN = "begun"  # its call outside may have happened; its outcome is not settled yet
    DONE = "done"
    REFUSED = "refused"
    UNDONE = "undone"
    TOMBSTONE = "tombstone"  # undone before it was done: whoever comes late does nothing


# The states of what was carried out, or may have been, and is not undone.
UNDOABLE = (State.BEGUN, State.DONE)


class Entry(NamedTuple):
    """What stands in the journal of an order about an action. A tuple: hundreds are read for each group."""

    commande_id: str
    action: str
    state: State
    at: dt.datetime
    data: dict[str, Any]
    cause: str | None = None
    undone_at: dt.datetime | None = None
    undone_by: str | None = None
    cause_source: str | None = None
