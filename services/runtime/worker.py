"""The pipeline of one session: intake → call → commit → publish → ack.

    intake    deliveries are read; what nobody could read goes straight on, to be set aside
    call      reactions that need the outside world ask it, concurrently, before any transaction
    commit    whatever is ready is carried out in one transaction, on the database thread
    publish   what was decided is said, and confirmed; retries and dead letters likewise
    ack       only then is a delivery acknowledged

A crash anywhere repeats a message; the inbox makes the repetition harmless.
"""

import asyncio
import datetime as dt
from dataclasses import replace
from typing import TypeVar

import structlog

from services.runtime.delivery import Reader, begin_calls, deal_with
from services.runtime.door import Delivery, Door
from services.runtime.errors import BrokerTrouble
from services.runtime.failpoints import Place, passing
from services.runtime.service import Every
from services.runtime.speaker import Speaker
from services.runtime.stopping import finished_before
from services.runtime.suspects import Suspects
from services.runtime.tools import Tools
from services.runtime.transaction import Look
from services.runtime.verdict import DeadLetter
from services.runtime.work import Result, Work

log = structlog.get_logger()

# Beyond this a larger group saves nothing more, and its failure costs more.
LARGEST_GROUP = 128
# Events confirmed are marked with the next group; when there is none for this long, on their own.
MARK_SECONDS = 0.5
# Events that another worker decided and did not live to say are said by whoever finds them.
STALE_SECONDS = 30.0
# A consumer can be gone without a word (a queue deleted and made again): ask now and then.
WATCH_SECONDS = 15.0
PURGE_SECONDS = 60.0

T = TypeVar("T")
Item = Work | Result | Every


class Pipeline:
    """One session of one service. `stopping` is set to end it in order."""

    def __init__(self, tools: Tools, door: Door, stopping: asyncio.Event) -> None:
        self._tools = tools
        self._ledger = tools.ledger
        self._door = door
        self._speaker = Speaker(tools, door)
        self._suspects = Suspects(tools)
        self._stopping = stopping
        self._reader = Reader(tools.ledger.service)
        self._to_call: asyncio.Queue[Work] = asyncio.Queue()
        self._ready: asyncio.Queue[Item] = asyncio.Queue()
        # Two groups: one being published while the next is committed.
        self._decided: asyncio.Queue[list[Result]] = asyncio.Queue(maxsize=2)
        self._in_hand = 0
        self._quiet = asyncio.Event()
        self._calls = asyncio.Semaphore(tools.settings.calls)
        self._calling: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until `stopping`, then drain. Raises BrokerTrouble when the session is lost (in a group)."""
        # With its database away the relay waits as long as that lasts; a worker asked to stop does not.
        if not await finished_before(self._stopping, self._speaker.relay(older_than=dt.timedelta())):
            return
        await self._door.consume()
        self._tools.telemetry.consuming()
        service = self._ledger.service
        log.info("worker.ready", hears=[line.hears.TYPE for line in service.reactions])
        async with asyncio.TaskGroup() as tasks:
            stages = [
                self._intake(),
                self._trial_stage(),
                self._call_stage(tasks),
                self._commit_stage(),
                self._publish_stage(),
                self._relay_stale(),
                self._watch(),
                self._purge(),
                *(self._clock(line) for line in service.timed),
            ]
            running = [tasks.create_task(stage) for stage in stages]
            tasks.create_task(self._drain(running))

    async def _intake(self) -> None:
        while True:
            for delivery in await self._door.deliveries(LARGEST_GROUP):
                self._in_hand += 1
                work = self._reader.read(delivery)
                if isinstance(work, DeadLetter):
                    self._ready.put_nowait(Result(delivery, work))
                elif not self._suspects.take(work):
                    self._go_on(work)

    def _go_on(self, work: Work) -> None:
        if work.line.call is not None:
            self._to_call.put_nowait(work)
        else:
            self._ready.put_nowait(work)

    async def _trial_stage(self) -> None:
        while True:
            self._go_on(await self._suspects.next())

    async def _call_stage(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            group = await _some(self._to_call)
            for work, look in await self._tools.patiently(begin_calls, self._ledger, group):
                if look is None:
                    self._ready.put_nowait(work)
                else:
                    calling = tasks.create_task(self._call(work, look))
                    self._calling.add(calling)
                    calling.add_done_callback(self._calling.discard)

    async def _call(self, work: Work, look: Look) -> None:
        async with self._calls:
            answered = await self._ask(work, look)
            if answered.failure is not None:
                # The outcome is unknown; asking again at once, with the same key, is safe.
                answered = await self._ask(work, look)
        self._ready.put_nowait(answered)

    async def _ask(self, work: Work, look: Look) -> Work:
        assert work.line.call is not None  # noqa: S101 - only such work comes here
        passing(Place.BEFORE_CALL)
        try:
            with self._tools.telemetry.call(work.event.TYPE):
                async with asyncio.timeout(self._tools.settings.call_timeout):
                    answer = await work.line.call(work.event, look, self._tools.outside)
        except Exception as error:  # noqa: BLE001 - whatever the outside does, the delivery is retried
            log.warning("call.failed", error=type(error).__name__, **work.bound())
            return replace(work, failure=error)
        passing(Place.AFTER_CALL)
        return replace(work, answer=answer)

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
                return await _some(self._ready)
        except TimeoutError:
            return []

    async def _carry_out(self, group: list[Item]) -> list[Result]:
        works = [item for item in group if isinstance(item, Work)]
        results = [item for item in group if isinstance(item, Result)]
        said = self._speaker.take_confirmed()
        if said:
            passing(Place.BEFORE_MARK)
        if works or said:
            delays = self._tools.settings.retry_delays
            with self._tools.telemetry.commit(len(works)):
                results += await self._tools.patiently(deal_with, self._ledger, works, delays, said)
            for work in _left(works, results):
                self._ready.put_nowait(work)
        for line in {item for item in group if isinstance(item, Every)}:
            results += await self._tools.patiently(self._ledger.tick, line)
        self._tools.telemetry.decided(results)
        return results

    async def _publish_stage(self) -> None:
        while True:
            results = await self._decided.get()
            await self._speaker.say(results)
            tags = [result.delivery.tag for result in results if result.delivery is not None]
            await self._door.settle(tags)
            passing(Place.AFTER_ACK)
            self._in_hand -= len(tags)
            self._suspects.settled(tags)
            if self._stopping.is_set() and not self._in_hand:
                self._quiet.set()

    async def _clock(self, line: Every) -> None:
        while True:
            self._ready.put_nowait(line)
            await asyncio.sleep(line.seconds)

    async def _relay_stale(self) -> None:
        while True:
            await asyncio.sleep(STALE_SECONDS)
            await self._speaker.relay(older_than=dt.timedelta(seconds=STALE_SECONDS))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if not await self._door.is_consuming():
                raise BrokerTrouble("the inbox has no consumer, though this session is one")

    async def _purge(self) -> None:
        while True:
            if not await self._tools.patiently(self._ledger.purge):
                await asyncio.sleep(PURGE_SECONDS)

    async def _drain(self, stages: list["asyncio.Task[None]"]) -> None:
        """Once asked to stop: take nothing more, give back what was not begun, finish what was."""
        await self._stopping.wait()
        never_started: list[Delivery] = await self._door.stop_deliveries()
        untried = self._suspects.give_up()
        self._in_hand -= len(untried)
        await self._door.give_back([delivery.tag for delivery in [*never_started, *untried]])
        if self._in_hand:
            try:
                async with asyncio.timeout(self._tools.settings.drain):
                    await self._quiet.wait()
            except TimeoutError:
                log.warning("drain.cut_short", deliveries=self._in_hand)
        for task in (*stages, *self._calling):
            task.cancel()
        if self._speaker.has_confirmed:
            await self._tools.on_thread(self._ledger.mark_said, self._speaker.take_confirmed())
        log.info("worker.stopped")


def _left(works: list[Work], results: list[Result]) -> list[Work]:
    """The works without a result: the database stopped answering half-way."""
    dealt_with = {result.delivery.tag for result in results if result.delivery is not None}
    return [work for work in works if work.delivery.tag not in dealt_with]


async def _some(queue: "asyncio.Queue[T]") -> list[T]:
    """At least one, and whatever else is there already, up to the largest group."""
    first = await queue.get()
    return [first, *(queue.get_nowait() for _ in range(min(LARGEST_GROUP - 1, queue.qsize())))]
