"""The periodic tasks of a session: schedules, watching the queue, relaying the outbox, purging."""

import asyncio
import datetime as dt
from collections.abc import Callable

from choregraphie.errors import BrokerUnavailable
from choregraphie.messaging import BrokerSession
from choregraphie.pipeline.context import WorkerContext
from choregraphie.pipeline.outbox_publisher import OutboxPublisher
from choregraphie.service.service import Schedule

# Events that another worker decided and did not live to publish are published by whichever worker finds them.
STALE_SECONDS = 30.0
# A consumer can be gone without a word (a queue deleted and made again): ask now and then.
WATCH_SECONDS = 15.0
PURGE_SECONDS = 60.0


async def strike(schedule: Schedule, waiting: set[Schedule], put: Callable[[Schedule], None]) -> None:
    """`put` the schedule whenever it is due, unless it still waits: with the database away, once is enough."""
    while True:
        if schedule not in waiting:
            waiting.add(schedule)
            put(schedule)
        await asyncio.sleep(schedule.seconds)


async def relay_stale(outbox_publisher: OutboxPublisher) -> None:
    """Publish what has stood in the outbox for long."""
    while True:
        await asyncio.sleep(STALE_SECONDS)
        await outbox_publisher.relay(older_than=dt.timedelta(seconds=STALE_SECONDS))


async def watch(context: WorkerContext, session: BrokerSession) -> None:
    """Ask broker and database whether they still know this worker. Raises BrokerUnavailable when its consumer is
    gone."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if not await session.is_consuming():
            raise BrokerUnavailable("the inbox has no consumer, though this session is one")
        # An idle worker asks its database too, which is how it notices that the file was taken away.
        await context.retry_until_available(context.store.last_decided)


async def purge(context: WorkerContext) -> None:
    """Delete what is too old to be asked about, batch by batch."""
    while True:
        if not await context.retry_until_available(context.store.purge):
            await asyncio.sleep(PURGE_SECONDS)
