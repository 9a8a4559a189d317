"""The commit stage of one session: executes whatever is ready in one transaction on the database thread."""

import asyncio
from functools import partial

from choregraphie.errors import DatabaseUnavailable, ResourceShortage
from choregraphie.failpoints import Place, passing
from choregraphie.pipeline.context import DATABASE, WorkerContext
from choregraphie.pipeline.executor import execute
from choregraphie.pipeline.outbox_publisher import OutboxPublisher
from choregraphie.pipeline.waiting import take_batch
from choregraphie.service.service import Schedule
from choregraphie.storage.invocation import Invocation, Result, with_commit_unknown, without_result

# Confirmed events are marked as published in the next transaction. When there is none for this long, a transaction
# of their own marks them: otherwise an idle worker would leave them to be published again.
MARK_SECONDS = 0.5

# A delivery to execute, one that is decided already (it cannot be read), or a schedule that is due.
Item = Invocation | Result | Schedule


class CommitStage:
    """Takes items as they become ready; a batch is committed together."""

    def __init__(self, context: WorkerContext, outbox_publisher: OutboxPublisher) -> None:
        self._context = context
        self._store = context.store
        self._outbox_publisher = outbox_publisher
        self._ready: asyncio.Queue[Item] = asyncio.Queue()
        self._due: set[Schedule] = set()

    def put(self, item: Invocation | Result) -> None:
        """`item` is ready."""
        self._ready.put_nowait(item)

    def put_schedule(self, schedule: Schedule) -> None:
        """`schedule` is due. Nothing happens when it is still waiting for the last time."""
        if schedule not in self._due:
            self._due.add(schedule)
            self._ready.put_nowait(schedule)

    async def next_results(self) -> list[Result]:
        """Wait for a batch, commit it, and return its results; there may be none."""
        batch = await self._next_batch()
        invocations = [item for item in batch if isinstance(item, Invocation)]
        results = [item for item in batch if isinstance(item, Result)]
        published = self._outbox_publisher.unmarked_ids
        if published:
            passing(Place.BEFORE_MARK)
        if invocations or published:
            with self._context.telemetry.commit(len(invocations)):
                results += await self._execute(invocations, published)
        for schedule in [item for item in batch if isinstance(item, Schedule)]:
            self._due.discard(schedule)
            results += await self._context.retry_until_available(self._store.tick, schedule)
        self._context.telemetry.decided(results)
        return results

    async def _next_batch(self) -> list[Item]:
        try:
            async with asyncio.timeout(MARK_SECONDS):
                return await take_batch(self._ready)
        except TimeoutError:
            return []

    async def _execute(self, invocations: list[Invocation], published: list[str]) -> list[Result]:
        """Execute `invocations` and mark the events `published`; wait while the database does not answer."""
        delays = self._context.settings.retry_delays
        succeeded = [invocation for invocation in invocations if invocation.failure is None]
        waited = False
        with self._context.left_over_if_cancelled(partial(self._store.commit, succeeded, published)):
            while True:
                try:
                    results = await self._context.on_thread(execute, self._store, invocations, delays, published)
                    break
                except (DatabaseUnavailable, ResourceShortage) as error:
                    invocations, waited = with_commit_unknown(invocations), True
                    await self._context.wait_for_database(error)
        if waited:
            self._context.end_wait(DATABASE)
        self._outbox_publisher.marked(published)
        for invocation in with_commit_unknown(without_result(invocations, results)):
            self._ready.put_nowait(invocation)
        return results
