"""Queries over the projection. They read while the monitor writes, and never wait for it."""

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path

from choregraphie.saga.envelope import Instance
from choregraphie.saga.saga_set import SagaSet
from saga_monitor.analysis.messages import DeadLetter, Hold, Retry
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.projection import durations
from saga_monitor.projection.durations import Durations
from saga_monitor.projection.file_reader import FileReader
from saga_monitor.projection.holds import OPEN_HOLDS, HeldSteps, lasting
from saga_monitor.projection.indexes import AMONG_SAGAS, OF_SAGA, PLACED, has, held_now, stuck_now
from saga_monitor.projection.messages import DEAD_LETTER, RETRY, dead_letter_of, retry_of
from saga_monitor.projection.models import SUMMARY_COLUMNS, RecordedEvent, SagaSummary, Totals, summary_of
from saga_monitor.projection.schema import AS_OF, instant, moment
from saga_monitor.projection.search import (
    FEW_OF,
    FIRST,
    InstanceFilter,
    ListPosition,
    condition_of,
    numbers_of,
    parse_search,
)

__all__ = ["Queries", "RecordedEvent", "SagaSummary", "Totals"]

_NEWEST = "last_offset DESC"


class Queries(FileReader):
    """Reads the file at `path`, which holds instances of `sagas`.

    An instance is stuck after `stuck_after` seconds of silence. `saga`, where it may be given, is the name of the
    one that is asked about. Instances of a saga that is not declared any more are left out.
    """

    def __init__(self, path: Path, stuck_after: float, sagas: SagaSet) -> None:
        """Raises DatabaseRefused when the file cannot be used."""
        super().__init__(path)
        self.sagas = sagas
        self._stuck_after = stuck_after

    def totals(self, now: dt.datetime, most: int | None = None, saga: str | None = None) -> Totals:
        """The totals at `now`. Counts at most `most` stuck instances."""
        rows = self.ask(
            "SELECT name, sum(value) FROM counters WHERE value != 0 AND saga IN (SELECT value FROM json_each(?))"
            " GROUP BY name",
            json.dumps(self.counted_in(saga)),
        )
        return Totals(dict(rows), self._stuck(now, most, saga), self.count_held(self.holds(now), saga))

    def names_of(self, saga: str | None) -> list[str]:
        """The names of the sagas that are asked about: that one, or all when it is None."""
        return list(self.sagas.by_name) if saga is None else [saga]

    def counted_in(self, saga: str | None) -> list[str]:
        """The same, with the empty name of no saga when all are asked about: it counts in all together alone."""
        return [*self.names_of(saga), *([""] if saga is None else [])]

    def instance(self, instance: Instance, now: dt.datetime) -> SagaSummary | None:
        """That instance, or None."""
        return next(iter(self._summaries("WHERE saga = ? AND key = ?", instance, now)), None)

    def instances_with(self, key: str, now: dt.datetime) -> list[SagaSummary]:
        """The instances with that key, of whichever saga, in the order of the sagas' declaration."""
        found = {one.saga: one for one in self._summaries("WHERE key = ?", (key,), now)}
        return [found[saga] for saga in self.sagas.by_name if saga in found]

    def instances(
        self, state: State | None, limit: int, now: dt.datetime, saga: str | None = None
    ) -> list[SagaSummary]:
        """The instances in `state`, or all that have a beginning; the last heard first."""
        clauses, values = (["state = ?"], [str(state)]) if state else ([PLACED], [])
        if saga is not None:
            clauses, values = [*clauses, OF_SAGA], [*values, saga]
        return self._listed(clauses, values, _NEWEST, limit, now)

    def numbered(self, numbers: Sequence[int], now: dt.datetime) -> list[SagaSummary]:
        """The instances with these numbers, in the order of their arrival."""
        clause = "WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number"
        return self._summaries(clause, (json.dumps(numbers),), now)

    def search(
        self, text: str, only: InstanceFilter, limit: int, now: dt.datetime, place: ListPosition = FIRST
    ) -> list[SagaSummary]:
        """The instances that match `text` and `only`, the last to begin first, from `place` on.

        `text` matches a part of the key or of a searched data field, case-insensitively, or the day on which an
        instance began: `2026-11-28`, `today`, `yesterday`.
        """
        wanted = parse_search(text, now)
        if wanted is None:
            return []
        with self._asking() as connection:
            condition = condition_of(
                only, self._silent_since(now), self.held(now).as_json, self.names_of(only.saga)
            )
            numbers = numbers_of(connection, wanted, condition, self._few(only, now), place, limit)
        found = self.numbered(numbers, now)
        return found if place.backwards else found[::-1]

    def _few(self, only: InstanceFilter, now: dt.datetime) -> bool:
        """Whether few enough instances pass `only` to search these rather than the index of texts."""
        names = [f"state.{only.state}"] * bool(only.state) + ["instances"] * bool(only.saga)
        stored = only.flag and only.flag not in (Flag.HELD, Flag.STUCK)
        names += [f"flag.{only.flag}"] if stored else []
        most = self._counter("instances") // FEW_OF
        counts = [self._counter(name, only.saga) for name in names]
        in_flight = only.in_flight or only.flag is Flag.HELD
        counts += [self._counter("instances") - self._counter("at_rest")] if in_flight else []
        counts += [self._stuck(now, most + 1, only.saga)] if only.flag is Flag.STUCK else []
        return bool(counts) and min(counts) <= most

    def _counter(self, name: str, saga: str | None = None) -> int:
        rows = self.ask("SELECT value FROM counters WHERE name = ?1 AND (?2 IS NULL OR saga = ?2)", name, saga)
        return int(sum(value for (value,) in rows))

    def flagged(self, flag: Flag, limit: int, now: dt.datetime, saga: str | None = None) -> list[SagaSummary]:
        """The instances with `flag`, the last heard first."""
        if flag is Flag.STUCK:
            values = (self._silent_since(now), self.held(now).as_json)
            return self._listed([stuck_now()], values, "quiet_since DESC", limit, now, saga)
        if flag is Flag.HELD:
            return self._listed([held_now()], (self.held(now).as_json,), _NEWEST, limit, now, saga)
        return self._listed([has(flag)], (), _NEWEST, limit, now, saga)

    def urgent(self, limit: int, now: dt.datetime, saga: str | None = None) -> list[SagaSummary]:
        """The instances that need a person: those with INTERVENTION or CONTRADICTION, then the stuck ones."""
        urgent = self._listed(["urgent = 1"], (), _NEWEST, limit, now, saga)
        found = [*urgent, *self.flagged(Flag.STUCK, limit, now, saga)]
        return list({one.number: one for one in found}.values())[:limit]

    def _stuck(self, now: dt.datetime, most: int | None, saga: str | None) -> int:
        among = f"{stuck_now()} AND {AMONG_SAGAS} LIMIT ?"
        ((stuck,),) = self.ask(
            f"SELECT count(*) FROM (SELECT 1 FROM instances WHERE {among})",  # noqa: S608 - constants
            self._silent_since(now),
            self.held(now).as_json,
            json.dumps(self.names_of(saga)),
            -1 if most is None else most,
        )
        return int(stuck)

    def holds(self, now: dt.datetime) -> list[Hold]:
        """The inboxes that are held at `now`, the oldest hold first."""
        return lasting(self.ask(OPEN_HOLDS), now)

    def held(self, now: dt.datetime) -> HeldSteps:
        """The steps whose services hold their inbox at `now`."""
        return HeldSteps.of(self.sagas, self.holds(now))

    def count_held(self, holds: Sequence[Hold], saga: str | None = None) -> int:
        """How many instances wait for a service of `holds`."""
        held = HeldSteps.of(self.sagas, holds)
        if not held.steps:
            return 0
        question = f"SELECT count(*) FROM instances WHERE {held_now()} AND {AMONG_SAGAS}"  # noqa: S608
        return int(self.ask(question, held.as_json, json.dumps(self.names_of(saga)))[0][0])

    def in_flight(self, limit: int, now: dt.datetime, saga: str | None = None) -> list[SagaSummary]:
        return self._listed(["at_rest = 0"], (), _NEWEST, limit, now, saga)

    def changed(self, after: int, limit: int, now: dt.datetime, saga: str | None = None) -> list[SagaSummary]:
        """The instances with an entry after stream offset `after`, the earliest first."""
        return self._listed(["last_offset > ?"], (after,), "last_offset", limit, now, saga)

    def silent(
        self, since: dt.datetime, until: dt.datetime, limit: int, now: dt.datetime, saga: str | None = None
    ) -> list[SagaSummary]:
        """The instances that became silent in that span and still await something."""
        clauses = ["quiet_since >= ?", stuck_now()]
        values = (instant(since), instant(until), self.held(now).as_json)
        return self._listed(clauses, values, "quiet_since", limit, now, saga)

    def last_offset(self) -> int:
        """The number of the last entry read, or -1."""
        return int(self.ask("SELECT coalesce(last_offset, -1) + shift FROM position")[0][0])

    def as_of(self) -> dt.datetime | None:
        """When what the file holds was true; None when nothing was read yet."""
        return moment(self.ask(f"SELECT {AS_OF} FROM position")[0][0])  # noqa: S608 - a constant

    def shift(self) -> int:
        """An entry's number in the file minus its stream offset: 0 until a stream is replaced."""
        return int(self.ask("SELECT shift FROM position")[0][0])

    def events(self, instance: Instance) -> list[RecordedEvent]:
        """The instance's events, in stream order."""
        found = self.ask(
            'SELECT id, type, source, time, causationid, "offset", coalesce(reason, decides) FROM events'
            ' WHERE saga = ? AND key = ? ORDER BY "offset"',
            *instance,
        )
        return [RecordedEvent(id_, type_, source, moment(at), *rest) for id_, type_, source, at, *rest in found]

    def retries(self, instance: Instance) -> list[Retry]:
        """The instance's retries, in stream order."""
        question = f'SELECT {RETRY} FROM retries WHERE saga = ? AND key = ? ORDER BY "offset"'  # noqa: S608 - constants
        return [retry_of(row) for row in self.ask(question, *instance)]

    def dead_letters(self, instance: Instance) -> list[DeadLetter]:
        """The instance's dead letters, in stream order."""
        question = f'SELECT {DEAD_LETTER} FROM dead_letters WHERE saga = ? AND key = ? ORDER BY "offset"'  # noqa: S608
        return [dead_letter_of(row) for row in self.ask(question, *instance)]

    def times(self, saga: str | None = None) -> dict[str, Durations]:
        """The durations of settled instances (series `durations.WHOLE`) and of each step that has answered."""
        with self._asking() as connection:
            return durations.kept(connection, self.names_of(saga))

    def _silent_since(self, now: dt.datetime) -> int | None:
        return instant(now - dt.timedelta(seconds=self._stuck_after))

    def _listed(
        self,
        clauses: Sequence[str],
        values: Sequence[object],
        order: str,
        limit: int,
        now: dt.datetime,
        saga: str | None = None,
    ) -> list[SagaSummary]:
        """The first instances for which all `clauses` hold, of that saga or of all that are declared."""
        clause = f"WHERE {' AND '.join([*clauses, AMONG_SAGAS])} ORDER BY {order} LIMIT ?"
        return self._summaries(clause, (*values, json.dumps(self.names_of(saga)), limit), now)

    def _summaries(self, clause: str, values: Sequence[object], now: dt.datetime) -> list[SagaSummary]:
        with self._asking() as connection:
            # The clause is made of constants; every value is bound.
            question = f"SELECT {SUMMARY_COLUMNS} FROM instances {clause}"  # noqa: S608
            found = connection.execute(question, values).fetchall()
        known, held = self.sagas.by_name, self.held(now)
        return [summary_of(row, now, self._stuck_after, held) for row in found if row[0] in known]
