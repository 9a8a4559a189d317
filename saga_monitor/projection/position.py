"""Where the reading of the stream stands, as the file holds it."""

import datetime as dt

from saga_monitor.projection.queries import Queries
from saga_monitor.projection.schema import moment


def read_up_to(queries: Queries) -> tuple[int | None, dt.datetime | None]:
    """The stream offset of the last entry read, and when the reading last reached the end of the stream."""
    (last_offset, caught_up_at), *_ = queries.ask("SELECT last_offset, caught_up_at FROM position")
    return last_offset, moment(caught_up_at)


def newest_heard(queries: Queries) -> dt.datetime | None:
    """When the last entry about any instance was heard; None without instances."""
    newest = queries.ask("SELECT heard FROM instances ORDER BY last_offset DESC LIMIT 1")
    return moment(newest[0][0]) if newest else None


def first_read(queries: Queries) -> int | None:
    """The stream offset at which the reading began; None when nothing was read."""
    ((began_at, shift),) = queries.ask("SELECT began_at, shift FROM position")
    return None if began_at is None else int(began_at) - int(shift)


def oldest_in_flight(queries: Queries) -> dt.datetime | None:
    """When the oldest instance in flight began."""
    ((started,),) = queries.ask("SELECT min(started) FROM instances WHERE at_rest = 0")
    return moment(started)
