"""One session of a relay: publishes the pending events, and marks those that the broker has confirmed."""

import contextlib
import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from choregraphie.broker import Publisher
from choregraphie.client.relay_database import RelayDatabase
from choregraphie.errors import BrokerUnavailable
from choregraphie.failpoints import Place, passing
from choregraphie.messaging import PublishOutcome
from choregraphie.retrying import backoff
from choregraphie.storage.client_outbox import DecidedEvent, last_number, mark_published, pending

log = structlog.get_logger()

# One window of the publisher: on PostgreSQL the rows stay locked until the broker has confirmed all of them.
PAGE = 256


class Published(NamedTuple):
    """How many events were published, and how many the broker did not take; those stay pending."""

    published: int
    left: int


@dataclass
class _Page:
    events: list[DecidedEvent]
    confirmed: list[int] = field(default_factory=list)


class RelaySession:
    """An open connection to the broker, and the events that it did not take."""

    def __init__(self, publisher: Publisher, database: RelayDatabase) -> None:
        self._publisher = publisher
        self._database = database
        self._exchanges: set[str] = set()
        self._last = 0
        self._failures = 0
        self._again_at = 0.0

    async def publish(self, now: float) -> Published:
        """Publish what is pending at `now`, in seconds of a steady clock.

        Events that the broker did not take are tried again after growing pauses. Meanwhile newer events go ahead.
        Raises BrokerUnavailable when the session is lost, DatabaseUnavailable or DatabaseRefused.
        """
        if now < self._again_at:
            return await self._publish_after(self._last)
        done = await self._publish_after(0)
        self._failures = self._failures + 1 if done.left else 0
        self._again_at = now + backoff(self._failures) if done.left else 0.0
        return done

    async def _publish_after(self, number: int) -> Published:
        # Up to the last event of this moment: others may decide events without a pause.
        last = await self._database.once(last_number)
        published, untaken = 0, Counter[tuple[str, str]]()
        while number < last:
            events, outcomes = await self._publish_page(number, last)
            published += outcomes.count(PublishOutcome.CONFIRMED)
            pairs = zip(events, outcomes, strict=True)
            untaken.update((e.exchange, one.value) for e, one in pairs if one is not PublishOutcome.CONFIRMED)
            number = events[-1].number if len(events) == PAGE else last
        for (exchange, outcome), count in untaken.items():
            log.warning("relay.publish_failed", exchange=exchange, outcome=outcome, events=count)
        self._last = max(self._last, last)
        return Published(published, untaken.total())

    async def _publish_page(self, after: int, up_to: int) -> tuple[list[DecidedEvent], list[PublishOutcome]]:
        async with self._page(after, up_to) as page:
            outcomes = await self._send(page.events) if page.events else []
            pairs = zip(page.events, outcomes, strict=True)
            page.confirmed += [event.number for event, one in pairs if one is PublishOutcome.CONFIRMED]
        if lost := outcomes.count(PublishOutcome.UNKNOWN):
            raise BrokerUnavailable(f"{lost} events were not confirmed")
        return page.events, outcomes

    @contextlib.asynccontextmanager
    async def _page(self, after: int, up_to: int) -> AsyncIterator[_Page]:
        """The next pending events. Those confirmed in the block are marked at its end."""
        if self._database.locks_rows:
            async with self._database.transaction() as run:
                page = _Page(await run(pending, PAGE, after, up_to))
                yield page
                await run(mark_published, page.confirmed, dt.datetime.now(dt.UTC))
            return
        # SQLite locks the whole file: a lock held during the publication would keep the caller from writing.
        page = _Page(await self._database.once(pending, PAGE, after, up_to))
        yield page
        await self._database.once(mark_published, page.confirmed, dt.datetime.now(dt.UTC))

    async def _send(self, events: Sequence[DecidedEvent]) -> list[PublishOutcome]:
        await self._look_for({event.exchange for event in events})
        sendable = [event for event in events if event.exchange in self._exchanges]
        passing(Place.BEFORE_RELAY)
        outcomes = await self._publisher.publish([event.outgoing() for event in sendable])
        passing(Place.AFTER_RELAY)
        by_number = {event.number: one for event, one in zip(sendable, outcomes, strict=True)}
        return [by_number.get(event.number, PublishOutcome.RETURNED) for event in events]

    async def _look_for(self, exchanges: set[str]) -> None:
        # Publishing to an exchange that does not exist would end the session, for all other events too.
        for exchange in exchanges - self._exchanges:
            if await self._publisher.has_exchange(exchange):
                self._exchanges.add(exchange)
