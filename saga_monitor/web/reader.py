"""The queries of the pages, fast at a million instances."""

import datetime as dt
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from choregraphie.saga.saga_set import SagaSet
from saga_monitor.projection.instance_pages import PageQueries, Sorting, sorting_of
from saga_monitor.projection.models import SagaSummary
from saga_monitor.projection.search import FIRST, ListPosition
from saga_monitor.web.filters import Cursor, Filters

# Larger numbers are shown as "10,000+": counting further would take most of the time of a page.
MOST_COUNTED = 10_000
_IDLE_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Page:
    """Some instances of a list, and the filters of the pages before and after, if any."""

    instances: tuple[SagaSummary, ...]
    newer: Filters | None
    older: Filters | None


# Found instances are sorted by number.
_BY_NUMBER = Sorting(("number",))


class Reader(PageQueries):
    """The pages of lists, as their filters say."""

    def page(self, filters: Filters, now: dt.datetime) -> Page:
        """The instances that pass `filters`, from its cursor on."""
        if filters.q:
            return self._searched(filters, now)
        cursor = filters.cursor
        backwards = cursor is not None and cursor.direction == "before"
        place = cursor.values if cursor else None
        found = self.sorted_instances(filters.only_these, filters.limit + 1, now, place, backwards)
        more, found = len(found) > filters.limit, found[: filters.limit]
        if backwards and not more:
            # Near the top, show the full first page instead of a short one.
            return self.page(filters.at(None), now)
        return _page(
            found[::-1] if backwards else found,
            filters,
            sorting_of(filters.only_these),
            bool(cursor),
            backwards or more,
        )

    def _searched(self, filters: Filters, now: dt.datetime) -> Page:
        cursor = filters.cursor
        backwards = cursor is not None and cursor.direction == "before"
        place = ListPosition(int(cursor.values[0]), backwards) if cursor else FIRST
        found = self.search(filters.q, filters.only_these, filters.limit + 1, now, place)
        more, found = len(found) > filters.limit, found[: filters.limit]
        if backwards and not more:
            return self.page(filters.at(None), now)
        return _page(found[::-1] if backwards else found, filters, _BY_NUMBER, bool(cursor), backwards or more)


class Readers:
    """A pool of readers of one file: each request has one of its own."""

    def __init__(self, path: Path, stuck_after: float, sagas: SagaSet) -> None:
        self._path, self._stuck_after, self._sagas = path, stuck_after, sagas
        self._idle: list[Reader] = []
        self._lock = threading.Lock()

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """A reader whose queries all see one state. Raises DatabaseRefused when the file cannot be read."""
        with self._lock:
            reader = self._idle.pop() if self._idle else None
        reader = reader or Reader(self._path, self._stuck_after, self._sagas)
        try:
            with reader.in_one_snapshot():
                yield reader
        except BaseException:
            reader.close()
            raise
        self._give_back(reader)

    def _give_back(self, reader: Reader) -> None:
        with self._lock:
            if len(self._idle) < _IDLE_CONNECTIONS:
                self._idle.append(reader)
                return
        reader.close()

    def close(self) -> None:
        with self._lock:
            while self._idle:
                self._idle.pop().close()


def _page(found: Sequence[SagaSummary], filters: Filters, sorting: Sorting, begun: bool, more: bool) -> Page:
    """`begun`: the page is not the first one. `more`: there are instances after it."""

    def beside(instance: SagaSummary, direction: Literal["after", "before"]) -> Filters:
        return filters.at(Cursor(direction, sorting.place_of(instance)))

    return Page(
        tuple(found),
        newer=beside(found[0], "before") if found and begun else None,
        older=beside(found[-1], "after") if found and more else None,
    )
