"""Holds of one session: while an outside system is down, its calls wait and the inbox is left in the broker.

The deliveries in hand keep their number of tries. One of them at a time makes its call, as a probe, and each probe
is that of another delivery: one message that always fails prolongs the hold by one probe at most. The state of the
breakers is the worker's and outlives its sessions; a new process begins with closed ones.
"""

import asyncio
import contextlib
import datetime as dt
from collections import defaultdict
from collections.abc import AsyncIterator

import structlog

from choregraphie.messaging import BrokerSession
from choregraphie.pipeline.batching import LARGEST_BATCH
from choregraphie.pipeline.breaker import Breaker, Change
from choregraphie.pipeline.context import WorkerContext
from choregraphie.pipeline.hold_notice import notice
from choregraphie.service.circuit_breaker import CircuitBreaker
from choregraphie.service.verdict import describe

log = structlog.get_logger()


class Holds:
    """The breakers of a service's calls, as one session uses them."""

    def __init__(self, context: WorkerContext, session: BrokerSession) -> None:
        self._context = context
        self._session = session
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._changed = asyncio.Event()

    @property
    def any(self) -> bool:
        """Whether some outside system is down, so that the inbox is held."""
        return any(breaker.is_open for breaker in self._context.breakers.values())

    async def room(self, unacked: int) -> int:
        """How many deliveries to take next; 0 after a wait, when the caller asks again. `unacked`: those in hand.

        While a breaker is open, one at a time: its call is the probe.
        """
        if not self.any:
            return LARGEST_BATCH
        if not unacked:
            return 1
        self._changed.clear()
        await self._changed.wait()
        return 0

    def changed(self) -> None:
        """A hold has begun or ended, or deliveries were acknowledged."""
        self._changed.set()

    def of(self, declared: CircuitBreaker) -> Breaker:
        """The state of that breaker."""
        known = self._context.breakers
        if declared.outside not in known:
            known[declared.outside] = Breaker.of(declared, self._context.settings)
        return known[declared.outside]

    @contextlib.asynccontextmanager
    async def turn(self, breaker: Breaker) -> AsyncIterator[None]:
        """Wait until a call may be made: at once, or for its turn as a probe, or until the hold is over."""
        if breaker.is_open:
            async with self._turns[breaker.outside]:  # whoever waits longest is next
                if breaker.is_open:
                    await asyncio.sleep(max(0.0, breaker.due_at - _now()))
                    since, change = breaker.opened_at, breaker.expire_if_due(_now())
                    await self._announce(breaker, change, "it lasted as long as it may", since)
                if breaker.is_open:
                    yield
                    return
        yield

    async def note(self, breaker: Breaker, failure: Exception | None) -> bool:
        """Note how a call ended. Return whether it waits, to be made again."""
        since, change = breaker.opened_at, breaker.note(failure, _now())
        await self._announce(breaker, change, describe(failure) if failure else "a call was answered", since)
        return failure is not None and breaker.is_open and isinstance(failure, breaker.down)

    async def _announce(
        self, breaker: Breaker, change: Change | None, detail: str, was_opened_at: float | None
    ) -> None:
        """Tell logs, metrics and the history of a change. The notice is not repeated when the broker loses it.

        `was_opened_at`: before the change; one that ends the hold has cleared it.
        """
        if change is None:
            return
        self.changed()
        self._context.telemetry.held(breaker.outside, breaker.is_open)
        now, at = self._context.now(), _now()
        since = now - dt.timedelta(seconds=at - (breaker.opened_at or was_opened_at or at))
        level = log.info if change is Change.CLOSED else log.warning
        level(f"breaker.{change.value}", outside=breaker.outside, detail=detail, since=since.isoformat())
        await self._session.publish([notice(self._context, breaker, since, detail)])


def _now() -> float:
    return asyncio.get_running_loop().time()
