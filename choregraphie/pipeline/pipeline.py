"""The pipeline of one session: intake → call → commit → publish → ack. Read this page first.

    intake    decode deliveries (`decoder.py`); what nobody can read becomes a dead letter
    call      call the outside world (`external_calls.py`), concurrently, before any transaction
    commit    execute whatever is ready in one transaction on the database thread (`executor.py`)
    publish   publish the outbox, retries and dead letters, and wait for the confirms (`outbox_publisher.py`)
    ack       acknowledge; only now

A crash anywhere repeats a message, and the inbox makes the repetition harmless.
"""

import asyncio
import contextlib
import datetime as dt
from functools import partial

import structlog

from choregraphie.errors import BrokerUnavailable, DatabaseUnavailable, ResourceShortage
from choregraphie.failpoints import Place, passing
from choregraphie.messaging import BrokerSession, Delivery
from choregraphie.pipeline.batching import LARGEST_GROUP, take_batch
from choregraphie.pipeline.context import DATABASE, INTAKE, WorkerContext
from choregraphie.pipeline.decoder import Decoder
from choregraphie.pipeline.executor import execute
from choregraphie.pipeline.external_calls import ExternalCalls
from choregraphie.pipeline.outbox_publisher import OutboxPublisher
from choregraphie.pipeline.periodic import purge, relay_stale, strike, watch
from choregraphie.pipeline.poison import PoisonTrials
from choregraphie.pipeline.shutdown import finished_before
from choregraphie.service.service import Schedule
from choregraphie.service.verdict import DeadLetter
from choregraphie.storage.invocation import Invocation, Result, with_commit_unknown, without_result

log = structlog.get_logger()

# Events confirmed are marked with the next group; when there is none for this long, on their own.
MARK_SECONDS = 0.5
# The last mark before leaving is waited for so long.
MARKED_SECONDS = 2.0

Item = Invocation | Result | Schedule


class Pipeline:
    """One session of one service. `stopping` is set to end it in order; `consuming` says whether it ever began."""

    def __init__(self, context: WorkerContext, session: BrokerSession, stopping: asyncio.Event) -> None:
        self._context = context
        self._store = context.store
        self._session = session
        self._outbox_publisher = OutboxPublisher(context, session)
        self._poison_trials = PoisonTrials(context)
        self._stopping = stopping
        self._reader = Decoder(context.store.service)
        self._ready: asyncio.Queue[Item] = asyncio.Queue()
        # Two groups: one being published while the next is committed.
        self._decided: asyncio.Queue[list[Result]] = asyncio.Queue(maxsize=2)
        self._in_hand = 0
        self._quiet = asyncio.Event()
        self.consuming = False
        self._calls = ExternalCalls(context, self._ready.put_nowait)
        self._struck: set[Schedule] = set()

    async def run(self) -> None:
        """Work until `stopping`, then drain.

        Raises BrokerUnavailable, alone or in a group, when the session is lost.
        """
        # It waits as long as the database is away. A stop or the loss of the session ends that.
        if not await finished_before(self._before_consuming(), self._stopping.wait(), self._until_lost()):
            return
        await self._session.consume()
        self.consuming = True
        self._context.telemetry.consuming()
        service = self._store.service
        log.info("worker.ready", hears=[handler.hears.TYPE for handler in service.reactions])
        async with asyncio.TaskGroup() as tasks:
            stages = [
                self._until_lost(),
                self._intake(),
                self._trial_stage(),
                self._calls.stage(tasks),
                self._commit_stage(),
                self._publish_stage(),
                relay_stale(self._outbox_publisher),
                watch(self._context, self._session),
                purge(self._context),
                *(strike(schedule, self._struck, self._ready.put_nowait) for schedule in service.timed),
            ]
            running = [tasks.create_task(stage) for stage in stages]
            tasks.create_task(self._drain(running))

    async def _before_consuming(self) -> None:
        await self._context.do_left_over()
        await self._outbox_publisher.relay(older_than=dt.timedelta())
        await self._context.until_able()

    async def _until_lost(self) -> None:
        # Whatever else waits meanwhile (for the database, for resources) uses no session, and would not notice.
        raise BrokerUnavailable(await self._session.until_lost())

    async def _intake(self) -> None:
        while True:
            for delivery in await self._session.deliveries(LARGEST_GROUP):
                self._in_hand += 1
                invocation = await self._read(delivery)
                if isinstance(invocation, DeadLetter):
                    self._ready.put_nowait(Result(delivery, invocation))
                elif not self._poison_trials.take(invocation):
                    self._go_on(invocation)

    async def _read(self, delivery: Delivery) -> Invocation | DeadLetter:
        waited = False
        while True:
            try:
                invocation = self._reader.read(delivery)
            except ResourceShortage as short:
                waited = True
                await self._context.wait_for_resources(INTAKE, short)
            else:
                if waited:
                    self._context.goes_on(INTAKE)
                return invocation

    def _go_on(self, invocation: Invocation) -> None:
        if invocation.handler.call is not None:
            self._calls.take(invocation)
        else:
            self._ready.put_nowait(invocation)

    async def _trial_stage(self) -> None:
        while True:
            for invocation in await self._poison_trials.next():
                self._go_on(invocation)

    async def _commit_stage(self) -> None:
        while True:
            results = await self._carry_out(await self._next_group())
            if results:
                passing(Place.AFTER_COMMIT)
                await self._decided.put(results)

    async def _next_group(self) -> list[Item]:
        # Never longer: a confirm that comes when nothing else does is marked too, or it would be said for ever.
        try:
            async with asyncio.timeout(MARK_SECONDS):
                return await take_batch(self._ready)
        except TimeoutError:
            return []

    async def _carry_out(self, group: list[Item]) -> list[Result]:
        invocations = [item for item in group if isinstance(item, Invocation)]
        results = [item for item in group if isinstance(item, Result)]
        said = self._outbox_publisher.unmarked_ids
        if said:
            passing(Place.BEFORE_MARK)
        if invocations or said:
            with self._context.telemetry.commit(len(invocations)):
                healthy = [invocation for invocation in invocations if invocation.failure is None]
                with self._context.left_over_if_cancelled(partial(self._store.commit, healthy, said)):
                    results += await self._deal_with(invocations, said)
        for schedule in [item for item in group if isinstance(item, Schedule)]:
            self._struck.discard(schedule)
            results += await self._context.retry_until_available(self._store.tick, schedule)
        self._context.telemetry.decided(results)
        return results

    async def _deal_with(self, invocations: list[Invocation], said: list[str]) -> list[Result]:
        delays = self._context.settings.retry_delays
        waited = False
        while True:
            try:
                results = await self._context.on_thread(execute, self._store, invocations, delays, said)
            except (DatabaseUnavailable, ResourceShortage) as trouble:
                invocations, waited = with_commit_unknown(invocations), True
                await self._context.wait_for_database(trouble)
                continue
            if waited:
                self._context.goes_on(DATABASE)
            self._outbox_publisher.marked(said)
            for invocation in with_commit_unknown(without_result(invocations, results)):
                self._ready.put_nowait(invocation)
            return results

    async def _publish_stage(self) -> None:
        while True:
            results = await self._decided.get()
            await self._outbox_publisher.say(results)
            if any(
                result.invocation is not None and result.invocation.commit_unknown and not result.outbox_events
                for result in results
            ):
                # What a commit decided whose reply was lost is in the outbox, and in no result.
                await self._outbox_publisher.relay(older_than=dt.timedelta())
            tags = [result.delivery.tag for result in results if result.delivery is not None]
            await self._session.settle(tags)
            passing(Place.AFTER_ACK)
            self._in_hand -= len(tags)
            self._poison_trials.settled(tags)
            if self._stopping.is_set() and not self._in_hand:
                self._quiet.set()

    async def _drain(self, stages: list["asyncio.Task[None]"]) -> None:
        """Once asked to stop: take nothing more, give back what was not begun, finish what was."""
        await self._stopping.wait()
        end = asyncio.get_running_loop().time() + self._context.settings.drain
        never_started: list[Delivery] = await self._session.stop_deliveries()
        untried = self._poison_trials.give_up()
        self._in_hand -= len(untried)
        await self._session.requeue([delivery.tag for delivery in [*never_started, *untried]])
        if self._in_hand:
            try:
                async with asyncio.timeout_at(end):
                    await self._quiet.wait()
            except TimeoutError:
                log.warning("drain.cut_short", deliveries=self._in_hand)
        for task in (*stages, *self._calls.under_way):
            task.cancel()
        if unmarked_ids := self._outbox_publisher.unmarked_ids:
            # Not waited for without a bound: a mark that is not made is an event said once more.
            with contextlib.suppress(TimeoutError, DatabaseUnavailable, ResourceShortage):
                async with asyncio.timeout(MARKED_SECONDS):
                    await self._context.on_thread(self._store.mark_said, unmarked_ids)
        log.info("worker.stopped")
