"""The live monitor on a pipe: one line per change of an order, flushed."""

import datetime as dt
import sys
from collections.abc import Sequence
from typing import IO

from saga_monitor.queries import Order, Queries
from saga_monitor.report import rfc3339
from saga_monitor.showing.printable import printable

# Orders per question, so that a long absence is not one long answer.
PAGE = 500


class Lines:
    """Prints `time id state last-event flags`, fields apart by tabs, and is what the reading reports to."""

    each_change = True

    def __init__(self, queries: Queries, out: IO[str], err: IO[str] | None = None) -> None:
        self._queries = queries
        self._out = out
        self._err = err or sys.stderr
        self._linked = ""
        self._shown = queries.last_offset()
        self._silent_until = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

    def link(self, word: str, detail: str = "") -> None:
        if word != "reading" and (word != self._linked or detail):
            said = f"{word}: {detail}" if detail else word
            print(f"saga_monitor: {printable(said)}", file=self._err, flush=True)
            self._linked = word

    def notice(self, text: str) -> None:
        print(f"saga_monitor: {printable(text)}", file=self._err, flush=True)

    def touched(self, commande_ids: Sequence[str]) -> None:
        self.show_changes(dt.datetime.now(dt.UTC))

    def show_changes(self, now: dt.datetime) -> None:
        """Print the orders heard of since the last call."""
        if self._queries.last_offset() < self._shown:
            # Another stream: what was shown before has offsets that mean nothing in this one.
            self._shown = -1
        while changed := self._queries.changed(self._shown, PAGE, now):
            for order in changed:
                self._print(order)
            self._shown = changed[-1].last_offset
        self._out.flush()

    def show_stuck(self, now: dt.datetime, stuck_after: float) -> None:
        """Print the orders that have become stuck since the last call: silence is a change too."""
        until = now - dt.timedelta(seconds=stuck_after)
        silent = self._queries.silent(self._silent_until, until, PAGE, now)
        for order in silent:
            self._print(order)
        self._silent_until = (
            silent[-1].quiet_since + _TICK if len(silent) == PAGE else max(until, self._silent_until)
        )
        self._out.flush()

    def _print(self, order: Order) -> None:
        fields = [order.commande_id, order.state, order.last_type, ",".join(order.flags) or "-"]
        print(rfc3339(order.heard), *map(printable, fields), sep="\t", file=self._out)


_TICK = dt.timedelta(microseconds=1)
