"""Counts what a session handles and logs the count at intervals: a line per delivery is at level debug."""

import asyncio
from collections.abc import Sequence

import structlog

from choregraphie.storage.invocation import Result

log = structlog.get_logger()

REPORT_SECONDS = 10.0


class HandledCount:
    """What was acknowledged since the last line: deliveries, events said, batches committed together."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._deliveries = self._events = self._batches = 0
        self._since = asyncio.get_running_loop().time()

    def add(self, results: Sequence[Result]) -> None:
        """A batch with these results is published and acknowledged."""
        self._deliveries += sum(result.delivery is not None for result in results)
        self._events += sum(len(result.outbox_events) for result in results)
        self._batches += 1

    def log_if_due(self) -> None:
        """Log the count when the last one is REPORT_SECONDS old."""
        if asyncio.get_running_loop().time() - self._since >= REPORT_SECONDS:
            self.log()

    def log(self) -> None:
        """Log the count unless it is zero, and count from zero again."""
        if self._batches:
            passed = asyncio.get_running_loop().time() - self._since
            log.info(
                "deliveries.handled",
                deliveries=self._deliveries,
                events=self._events,
                batches=self._batches,
                in_s=round(passed, 1),
            )
        self._start()
