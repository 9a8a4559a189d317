"""The pipeline of one session: intake → call → commit → publish → ack. Read this page first.

    intake    decode deliveries (`decoder.py`); one that can never be read becomes a dead letter;
              suspicious ones are tried one at a time (`poison.py`)
    call      call the outside world (`external_calls.py`), concurrently, between two transactions: one records
              that the call begins, another executes the reaction with the answer; while a system is down, the
              inbox is held (`holds.py`)
    commit    execute whatever is ready in one transaction (`commit.py`, `executor.py`), on the database thread
    publish   publish the outbox, retries and dead letters, and wait for the confirms (`outbox_publisher.py`)
    ack       acknowledge; only now

A crash anywhere repeats a message, and the inbox makes the repetition harmless.
"""

import asyncio
import contextlib
import datetime as dt
import math

import structlog

from choregraphie.errors import BrokerUnavailable, DatabaseUnavailable, ResourceShortage
from choregraphie.failpoints import Place, passing
from choregraphie.messaging import BrokerSession, Delivery
from choregraphie.pipeline.commit import CommitStage
from choregraphie.pipeline.context import INTAKE, WorkerContext
from choregraphie.pipeline.decoder import Decoder
from choregraphie.pipeline.external_calls import ExternalCalls
from choregraphie.pipeline.handled_count import HandledCount
from choregraphie.pipeline.holds import Holds
from choregraphie.pipeline.outbox_publisher import OutboxPublisher
from choregraphie.pipeline.periodic import purge, relay_stale, repeat, watch
from choregraphie.pipeline.poison import PoisonTrials
from choregraphie.process.interruptible import finished_before
from choregraphie.service.verdict import DeadLetter
from choregraphie.storage.invocation import Invocation, Result

log = structlog.get_logger()

# How long the last mark before the end may take.
MARKED_SECONDS = 2.0
# A call that waits for an open breaker is not answered within the drain, so there is little to wait for.
HELD_DRAIN_SECONDS = 2.0


class Pipeline:
    """One session of one service. Set `stopping` to end it in order. `consuming` says whether it ever began."""

    def __init__(self, context: WorkerContext, session: BrokerSession, stopping: asyncio.Event) -> None:
        self._context = context
        self._session = session
        self._stopping = stopping
        self._decoder = context.decoder or Decoder(context.store.service)
        self._poison_trials = PoisonTrials(context)
        self._outbox_publisher = OutboxPublisher(context, session)
        self._commits = CommitStage(context, self._outbox_publisher)
        self._holds = Holds(context, session)
        self._calls = ExternalCalls(context, self._holds, self._commits.put)
        # Two batches: one is published while the next is committed.
        self._committed: asyncio.Queue[list[Result]] = asyncio.Queue(maxsize=2)
        self._handled = HandledCount()
        self._unacked = 0
        self._drained = asyncio.Event()
        self.consuming = False

    async def run(self) -> None:
        """Work until `stopping`, then drain.

        Raises BrokerUnavailable, alone or in a group, when the session is lost.
        """
        if not await finished_before(self._prepare(), self._stopping.wait(), self._until_lost()):
            return
        await self._session.consume()
        self.consuming = True
        self._context.telemetry.consuming()
        service = self._context.store.service
        log.info("worker.ready", hears=[heard.TYPE for handler in service.reactions for heard in handler.hears])
        async with asyncio.TaskGroup() as tasks:
            stages = [
                self._until_lost(),
                self._intake(),
                self._try_suspicious(),
                self._commit(tasks),
                self._publish_and_ack(),
                relay_stale(self._outbox_publisher),
                watch(self._context, self._session),
                purge(self._context),
                *(repeat(schedule, self._commits.put_schedule) for schedule in service.timed),
            ]
            running = [tasks.create_task(stage) for stage in stages]
            tasks.create_task(self._drain(running))

    async def _prepare(self) -> None:
        """Wait until work can be done; until then nothing is received."""
        await self._context.finish_left_over()
        await self._outbox_publisher.relay(older_than=dt.timedelta())
        await self._context.wait_until_able()

    async def _until_lost(self) -> None:
        # A stage that waits for the database or for resources does not use the session, and would not notice.
        raise BrokerUnavailable(await self._session.until_lost())

    async def _intake(self) -> None:
        while True:
            if not (room := await self._holds.room(self._unacked)):
                continue
            for delivery in await self._session.deliveries(room):
                self._unacked += 1
                try:
                    invocation = self._decoder.decode(delivery)
                except ResourceShortage as short:
                    invocation = await self._decode_later(delivery, short)
                if isinstance(invocation, DeadLetter):
                    self._commits.put(Result(delivery, invocation))
                elif not self._poison_trials.take(invocation):
                    self._call_or_commit(invocation)

    async def _decode_later(self, delivery: Delivery, short: ResourceShortage) -> Invocation | DeadLetter:
        """Decode `delivery` once the worker has again what it is short of."""
        while True:
            await self._context.wait_for_resources(INTAKE, short)
            try:
                invocation = self._decoder.decode(delivery)
            except ResourceShortage as still:
                short = still
            else:
                self._context.end_wait(INTAKE)
                return invocation

    async def _try_suspicious(self) -> None:
        while True:
            for invocation in await self._poison_trials.next():
                self._call_or_commit(invocation)

    def _call_or_commit(self, invocation: Invocation) -> None:
        if invocation.handler.call is not None:
            self._commits.put_call(invocation)
        else:
            self._commits.put(invocation)

    async def _commit(self, tasks: asyncio.TaskGroup) -> None:
        try:
            while True:
                results, begun = await self._commits.next_batch()
                self._calls.start(begun, tasks)
                if results:
                    passing(Place.AFTER_COMMIT)
                    await self._committed.put(results)
                self._handled.log_if_due()
        finally:
            self._handled.log()

    async def _publish_and_ack(self) -> None:
        while True:
            results = await self._committed.get()
            await self._outbox_publisher.publish(results)
            if any(_decided_unseen(result) for result in results):
                await self._outbox_publisher.relay(older_than=dt.timedelta())
            tags = [result.delivery.tag for result in results if result.delivery is not None]
            with self._context.tracing.settle(results):
                await self._session.ack(tags)
            passing(Place.AFTER_ACK)
            self._poison_trials.acked(tags)
            self._handled.add(results)
            self._unacked -= len(tags)
            self._holds.changed()
            if self._stopping.is_set() and not self._unacked:
                self._drained.set()

    async def _drain(self, stages: list["asyncio.Task[None]"]) -> None:
        """Wait for `stopping`; then receive no more, requeue what was not begun, and finish what was."""
        await self._stopping.wait()
        drain = min(self._context.settings.drain, HELD_DRAIN_SECONDS if self._holds.any else math.inf)
        end = asyncio.get_running_loop().time() + drain
        never_started: list[Delivery] = await self._session.stop_deliveries()
        untried = self._poison_trials.give_up()
        self._unacked -= len(untried)
        await self._session.requeue([delivery.tag for delivery in [*never_started, *untried]])
        if self._unacked:
            try:
                async with asyncio.timeout_at(end):
                    await self._drained.wait()
            except TimeoutError:
                log.warning("drain.timed_out", deliveries=self._unacked)
        for task in (*stages, *self._calls.under_way):
            task.cancel()
        await self._mark_last()
        log.info("worker.stopped")

    async def _mark_last(self) -> None:
        """Mark the events that were confirmed last. An event without its mark is published once more, no worse."""
        if unmarked_ids := self._outbox_publisher.unmarked_ids:
            with contextlib.suppress(TimeoutError, DatabaseUnavailable, ResourceShortage):
                async with asyncio.timeout(MARKED_SECONDS):
                    await self._context.on_thread(self._context.store.mark_published, unmarked_ids)


def _decided_unseen(result: Result) -> bool:
    """Whether a commit whose reply was lost may have put events into the outbox that no result holds."""
    return result.invocation is not None and result.invocation.commit_unknown and not result.outbox_events
