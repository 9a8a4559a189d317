"""The live monitor on a pipe: one line per change of an instance, flushed."""

import datetime as dt
import sys
from collections.abc import Sequence
from typing import IO

from choregraphie.printable import printable
from choregraphie.saga.envelope import Instance
from saga_monitor.analysis.saga_state import Flag
from saga_monitor.projection.queries import Queries, SagaSummary
from saga_monitor.reports.report import rfc3339
from saga_monitor.text.freshness import Link

# Instances per query, so that a long gap is not read at once.
PAGE = 500


class ChangeLines:
    """Prints `time key state last-event flags`, separated by tabs; of several sagas, the saga before the key.

    The reader reports to it.
    """

    each_change = True

    def __init__(self, queries: Queries, out: IO[str], err: IO[str] | None = None) -> None:
        self._queries = queries
        self._out = out
        self._err = err or sys.stderr
        self._connection, self._said = Link(), ""
        self._stale = False
        self._shown = queries.last_offset()
        self._silent_until = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        self.ever_read = False

    def link(self, word: str, detail: str = "") -> None:
        self._connection.change(word, detail, dt.datetime.now(dt.UTC))
        self.ever_read = self.ever_read or word == "live"
        said = f"{word}: {detail}" if detail else word
        if word != "reading" and said != self._said:
            self.notice(said)
            self._said = said

    def notice(self, text: str) -> None:
        print(f"saga_monitor: {printable(text)}", file=self._err, flush=True)

    def touched(self, instances: Sequence[Instance]) -> None:
        self.ever_read = True
        self.show_changes(dt.datetime.now(dt.UTC))

    def show_news(self, now: dt.datetime, stuck_after: float) -> None:
        """Print changed instances and, when the file is current, instances that have become stuck."""
        self.show_changes(now)
        known = self._queries.as_of()
        if known is not None and self._connection.ready(known, now):
            # What happened after that is not known.
            self.show_stuck(min(known, now), stuck_after)
        is_stale = self._connection.is_stale(known, now)
        if is_stale is not self._stale:
            self._stale = is_stale
            self.notice(f"{self._connection.word}: {self._connection.explained(known, now)}".removesuffix(": "))

    def show_changes(self, now: dt.datetime) -> None:
        """Print the instances that changed since the last call, without the flag STUCK."""
        if self._queries.last_offset() < self._shown:
            # The stream was replaced: the offsets of the old one mean nothing.
            self._shown = -1
        while changed := self._queries.changed(self._shown, PAGE, now):
            for instance in changed:
                self._print(instance, [flag for flag in instance.flags if flag != Flag.STUCK])
            self._shown = changed[-1].last_offset
        self._out.flush()

    def show_stuck(self, now: dt.datetime, stuck_after: float) -> None:
        """Print the instances that have become stuck since the last call."""
        until = now - dt.timedelta(seconds=stuck_after)
        silent = self._queries.silent(self._silent_until, until, PAGE, now)
        for instance in silent:
            self._print(instance, instance.flags)
        self._silent_until = (
            silent[-1].quiet_since + _TICK if len(silent) == PAGE else max(until, self._silent_until)
        )
        self._out.flush()

    def _print(self, instance: SagaSummary, flags: Sequence[str]) -> None:
        of_saga = [instance.saga] if self._queries.sagas.several else []
        fields = [*of_saga, instance.key, instance.state, instance.last_type, ",".join(flags) or "-"]
        print(rfc3339(instance.heard), *map(printable, fields), sep="\t", file=self._out)


_TICK = dt.timedelta(microseconds=1)
