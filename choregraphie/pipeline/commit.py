"""The commit stage of one session: executes whatever is ready in one transaction."""

import asyncio
from functools import partial
from typing import NamedTuple

from choregraphie.errors import DatabaseUnavailable, ResourceShortage
from choregraphie.failpoints import Place, passing
from choregraphie.pipeline.batching import Batches
from choregraphie.pipeline.context import DATABASE, WorkerContext
from choregraphie.pipeline.executor import Begun, execute_and_begin
from choregraphie.pipeline.outbox_publisher import OutboxPublisher
from choregraphie.service.service import Schedule
from choregraphie.storage.invocation import Invocation, Result, with_commit_unknown, without_result

# Confirmed events are marked as published in the next transaction. When there is none for this long, a transaction
# of their own marks them: otherwise an idle worker would leave them to be published again.
MARK_SECONDS = 0.5


class CallToBegin(NamedTuple):
    """A delivery whose external call is to begin."""

    invocation: Invocation


# A delivery to execute, one whose call is to begin, one that is decided already (it cannot be read), or a schedule
# that is due.
Item = Invocation | CallToBegin | Result | Schedule


class CommitStage:
    """Takes items as they become ready, and commits a batch together, with the records that calls begin."""

    def __init__(self, context: WorkerContext, outbox_publisher: OutboxPublisher) -> None:
        self._context = context
        self._store = context.store
        self._outbox_publisher = outbox_publisher
        self._ready: Batches[Item] = Batches()
        self._due: set[Schedule] = set()

    def put(self, item: Invocation | Result) -> None:
        """`item` is ready."""
        self._ready.put(item)

    def put_call(self, invocation: Invocation) -> None:
        """The call of `invocation` is to begin."""
        self._ready.put(CallToBegin(invocation))

    def put_schedule(self, schedule: Schedule) -> None:
        """`schedule` is due. Does nothing when it is in the queue already."""
        if schedule not in self._due:
            self._due.add(schedule)
            self._ready.put(schedule)

    async def next_batch(self) -> tuple[list[Result], list[Begun]]:
        """Wait for a batch, commit it, and return its results and the calls that begin; there may be none."""
        batch = await self._next_batch()
        invocations = self._context.tracing.begin([item for item in batch if isinstance(item, Invocation)])
        calling = self._context.tracing.begin([item.invocation for item in batch if isinstance(item, CallToBegin)])
        results = [item for item in batch if isinstance(item, Result)]
        begun: list[Begun] = []
        published = self._outbox_publisher.unmarked_ids
        if published:
            passing(Place.BEFORE_MARK)
        if invocations or calling or published:
            with self._context.telemetry.commit(len(invocations)):
                executed, begun = await self._execute(invocations, calling, published)
            results += executed
        for schedule in [item for item in batch if isinstance(item, Schedule)]:
            self._due.discard(schedule)
            results += await self._context.retry_until_available(self._store.tick, schedule)
        self._context.telemetry.decided(results)
        self._context.tracing.decided(results)
        return results, begun

    async def _next_batch(self) -> list[Item]:
        if self._ready:
            return self._ready.take()  # without a timer: under load, one is made and cancelled for each batch
        try:
            async with asyncio.timeout(MARK_SECONDS):
                return await self._ready.next()
        except TimeoutError:
            return []

    async def _execute(
        self, invocations: list[Invocation], calling: list[Invocation], published: list[str]
    ) -> tuple[list[Result], list[Begun]]:
        """Execute, begin and mark, as `execute_and_begin` does; wait while the database does not answer."""
        delays, store = self._context.settings.retry_delays, self._store
        succeeded = [invocation for invocation in invocations if invocation.failure is None]
        waited = False
        with self._context.left_over_if_cancelled(partial(store.commit_and_begin, succeeded, calling, published)):
            while True:
                try:
                    results, begun = await self._context.on_thread(
                        execute_and_begin, store, invocations, calling, delays, published
                    )
                    break
                except (DatabaseUnavailable, ResourceShortage) as error:
                    invocations, waited = with_commit_unknown(invocations), True
                    await self._context.wait_for_database(error)
        if waited:
            self._context.end_wait(DATABASE)
        self._outbox_publisher.marked(published)
        for invocation in with_commit_unknown(without_result(invocations, results)):
            self._ready.put(invocation)
        return results, begun
