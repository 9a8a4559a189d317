"""Lists of instances page by page, each sorted by an index: fast at a million instances."""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from choregraphie.saga.envelope import Instance
from choregraphie.saga.saga_set import SagaSet
from saga_monitor.analysis.messages import DeadLetter
from saga_monitor.analysis.saga_state import Flag
from saga_monitor.projection import time_series
from saga_monitor.projection.indexes import AMONG_SAGAS, PLACED, of_flag
from saga_monitor.projection.messages import DEAD_LETTER, dead_letter_of
from saga_monitor.projection.models import SagaSummary
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.schema import instant
from saga_monitor.projection.search import InstanceFilter, condition_of

# Small, because every concurrent page has a reader, and the system caches the file too.
_CACHE_KIB = 2000


@dataclass(frozen=True, slots=True)
class Sorting:
    """`columns` of an index, all in one direction. `index` is forced, because the planner may choose another."""

    columns: tuple[str, ...]
    descending: bool = True
    index: str = ""

    def place_of(self, summary: SagaSummary) -> tuple[int | str, ...]:
        """The values of `columns` for `summary`."""
        kept: dict[str, Any] = {"quiet_since": instant(summary.quiet_since) or 0}
        return tuple(kept.get(column, getattr(summary, column)) for column in self.columns)

    def beyond(self, backwards: bool) -> str:
        """The condition of the instances after a place, or before it."""
        sign = "<" if self.descending is not backwards else ">"
        return f"({', '.join(self.columns)}) {sign} ({', '.join('?' for _ in self.columns)})"


def sorting_of(only: InstanceFilter) -> Sorting:
    """STUCK instances are sorted by silence, others by their last event. Lists of one saga have other indexes."""
    if only.flag is Flag.STUCK:
        return Sorting(("quiet_since", "key", "saga"), index="INDEXED BY instances_silent")
    if only.flag and only.flag is not Flag.HELD:
        index = of_flag(only.flag)
    elif only.in_flight or only.flag:
        index = "instances_in_flight"
    elif only.saga:
        return Sorting(("last_offset",))  # the planner finds the index that begins with the saga
    else:
        index = "instances_by_state" if only.state else "instances_placed"
    return Sorting(("last_offset",), index=f"INDEXED BY {index}")


class PageQueries(Queries):
    """`Queries`, with those that only the web page needs."""

    def __init__(self, path: Path, stuck_after: float, sagas: SagaSet) -> None:
        """Raises DatabaseRefused when the file cannot be used."""
        super().__init__(path, stuck_after, sagas)
        self._opened()

    def _opened(self) -> None:
        self._connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")

    def sorted_instances(
        self,
        only: InstanceFilter,
        limit: int,
        now: dt.datetime,
        place: tuple[object, ...] | None = None,
        backwards: bool = False,
    ) -> list[SagaSummary]:
        """The `limit` instances that pass `only` next to `place`, in the direction of reading."""
        condition = condition_of(only, self._silent_since(now), self.held(now).as_json, self.names_of(only.saga))
        sorting = sorting_of(only)
        clauses, values = list(condition.clauses), list(condition.values)
        clauses += [] if only.state or only.flag or only.in_flight else [PLACED]
        if place is not None:
            clauses.append(sorting.beyond(backwards))
            values += place
        falling = sorting.descending is not backwards
        order = ", ".join(f"{column} {'DESC' if falling else 'ASC'}" for column in sorting.columns)
        clause = f"{sorting.index} WHERE {' AND '.join(clauses) or '1'} ORDER BY {order} LIMIT ?"
        return self._summaries(clause, (*values, limit), now)

    @contextmanager
    def in_one_snapshot(self) -> Iterator[None]:
        """All queries within the block see one state of the file."""
        with self._asking() as connection:
            connection.execute("BEGIN")
        try:
            yield
        finally:
            with self._asking() as connection:
                connection.execute("COMMIT")

    def newest_dead_letters(
        self, limit: int, instance: Instance | None = None, saga: str | None = None
    ) -> list[DeadLetter]:
        """The newest dead letters of that instance, of that saga or of all, the newest first."""
        # Of a message that cannot be read, the saga may not be known.
        clauses, values = [f"(saga IS NULL OR {AMONG_SAGAS})"], list[object]([json.dumps(self.names_of(None))])
        if instance or saga:
            clauses, values = ["saga = ?"], [instance.saga if instance else saga]
        if instance:
            clauses, values = [*clauses, "key = ?"], [*values, instance.key]
        question = (
            f'SELECT {DEAD_LETTER} FROM dead_letters WHERE {" AND ".join(clauses)} ORDER BY "offset" DESC LIMIT ?'  # noqa: S608
        )
        return [dead_letter_of(row) for row in self.ask(question, *values, limit)]

    def seen_between(
        self, first: int, after: int, step: int, saga: str | None = None
    ) -> dict[int, dict[str, int]]:
        """See `time_series.seen_between`."""
        with self._asking() as connection:
            return time_series.seen_between(connection, self.counted_in(saga), first, after, step)
