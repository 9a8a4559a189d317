"""The periodic tasks of a session: schedules, watching the queue, relaying the outbox, purging."""

import asyncio
import datetime as dt
from collections.abc import Callable

from choregraphie.errors import BrokerUnavailable
from choregraphie.messaging import BrokerSession
from choregraphie.pipeline.context import WorkerContext
from choregraphie.pipeline.outbox_publisher import OutboxPublisher
from choregraphie.service.service import Schedule

# Events that another worker committed and did not live to publish: whichever worker finds them publishes them.
STALE_SECONDS = 30.0
# A consumer can disappear without a notice, when its queue is deleted and declared again.
WATCH_SECONDS = 15.0
PURGE_SECONDS = 60.0


async def repeat(schedule: Schedule, put: Callable[[Schedule], None]) -> None:
    """`put` the schedule now and every `schedule.seconds`."""
    while True:
        put(schedule)
        await asyncio.sleep(schedule.seconds)


async def relay_stale(outbox_publisher: OutboxPublisher) -> None:
    """Publish the events that have been in the outbox for STALE_SECONDS."""
    while True:
        await asyncio.sleep(STALE_SECONDS)
        await outbox_publisher.relay(older_than=dt.timedelta(seconds=STALE_SECONDS))


async def watch(context: WorkerContext, session: BrokerSession) -> None:
    """Check that broker and database still serve this worker.

    Raises BrokerUnavailable when its consumer is gone.
    """
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if not await session.is_consuming():
            raise BrokerUnavailable("the inbox has no consumer, though this session is one")
        # An idle worker has no other way to notice that its database file was taken away.
        await context.retry_until_available(context.store.last_decided)


async def purge(context: WorkerContext) -> None:
    """Delete expired rows, batch by batch."""
    while True:
        if not await context.retry_until_available(context.store.purge):
            await asyncio.sleep(PURGE_SECONDS)
