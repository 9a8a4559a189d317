"""The pipeline of one session: intake → call → commit → publish → ack.

    intake    deliveries are read; what nobody could read goes straight on, to be set aside
    call      reactions that need the outside world ask it, concurrently, before any transaction
    commit    whatever is ready is carried out in one transaction, on the database thread
    publish   what was decided is said, and confirmed; retries and dead letters likewise
    ack       only then is a delivery acknowledged

A crash anywhere repeats a message; the inbox makes the repetition harmless.
"""

import asyncio
import contextvars
import datetime as dt
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import structlog

from services.runtime.delivery import Reader, deal_with
from services.runtime.door import Delivery, Door, Fate, Outgoing
from services.runtime.errors import BrokerTrouble, DatabaseTrouble
from services.runtime.ledger import Ledger
from services.runtime.redirect import for_another_try, set_aside
from services.runtime.service import Every
from services.runtime.settings import Settings
from services.runtime.transaction import Look
from services.runtime.verdict import DeadLetter, RetryAfter
from services.runtime.work import Result, Work

log = structlog.get_logger()

# Beyond this a larger group saves nothing more, and its failure costs more.
LARGEST_GROUP = 128
# Events confirmed are marked with the next group; when there is none for this long, on their own.
MARK_SECONDS = 0.5
# Events another worker decided and did not live to say are said by whoever finds them.
STALE_SECONDS = 30.0
PAUSE_SECONDS = 1.0

T = TypeVar("T")


@dataclass(frozen=True)
class Tools:
    """What a pipeline works with; it outlives sessions."""

    ledger: Ledger
    settings: Settings
    thread: Executor
    outside: Any
    now: Callable[[], dt.datetime]


class Pipeline:
    """One session of one service. `stopping` is set to end it in order."""

    def __init__(self, tools: Tools, door: Door, stopping: asyncio.Event) -> None:
        self._tools = tools
        self._ledger = tools.ledger
        self._service = tools.ledger.service
        self._door = door
        self._stopping = stopping
        self._reader = Reader(self._service)
        self._to_call: asyncio.Queue[Work] = asyncio.Queue()
        self._ready: asyncio.Queue[Work | Result | Every] = asyncio.Queue()
        # Two groups: one being published while the next is committed.
        self._decided: asyncio.Queue[list[Result]] = asyncio.Queue(maxsize=2)
        self._said: list[str] = []
        self._in_hand = 0
        self._quiet = asyncio.Event()
        self._calls = asyncio.Semaphore(tools.settings.calls)

    async def run(self) -> None:
        """Work until `stopping`, then drain. Raises BrokerTrouble when the session is lost (in a group)."""
        await self._relay(older_than=dt.timedelta())
        await self._door.consume()
        log.info("worker.ready", hears=[line.hears.TYPE for line in self._service.reactions])
        async with asyncio.TaskGroup() as tasks:
            stages = [
                tasks.create_task(self._intake()),
                tasks.create_task(self._call_stage(tasks)),
                tasks.create_task(self._commit_stage()),
                tasks.create_task(self._publish_stage()),
                tasks.create_task(self._relay_stale()),
                *(tasks.create_task(self._clock(line)) for line in self._service.timed),
            ]
            tasks.create_task(self._drain(stages))

    async def _intake(self) -> None:
        while True:
            for delivery in await self._door.deliveries(LARGEST_GROUP):
                self._in_hand += 1
                work = self._reader.read(delivery)
                if isinstance(work, DeadLetter):
                    self._ready.put_nowait(Result(delivery, work))
                elif work.line.call is not None:
                    self._to_call.put_nowait(work)
                else:
                    self._ready.put_nowait(work)

    async def _call_stage(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            group = await _some(self._to_call, LARGEST_GROUP)
            looks = await self._patiently(self._begin, group)
            for work, look in zip(group, looks, strict=True):
                if look is None:
                    self._ready.put_nowait(work)
                else:
                    tasks.create_task(self._call(work, look))

    def _begin(self, group: list[Work]) -> list[Look | None]:
        return self._ledger.begin(group)

    async def _call(self, work: Work, look: Look) -> None:
        assert work.line.call is not None  # noqa: S101 - only such work comes here
        async with self._calls:
            for again in (True, False):
                try:
                    async with asyncio.timeout(self._tools.settings.call_timeout):
                        answer = await work.line.call(work.event, look, self._tools.outside)
                    work = replace(work, answer=answer)
                    break
                except Exception as error:  # noqa: BLE001 - whatever the outside does, the delivery is retried
                    # The outcome is unknown; asking again with the same key is safe.
                    log.warning("call.failed", error=type(error).__name__, again=again, **work.bound())
                    if not again:
                        work = replace(work, failure=error)
        self._ready.put_nowait(work)

    async def _commit_stage(self) -> None:
        while True:
            ready = await self._next_group()
            said, self._said = self._said, []
            works = [item for item in ready if isinstance(item, Work)]
            results = [item for item in ready if isinstance(item, Result)]
            if works or said:
                results += await self._patiently(deal_with, self._ledger, works, self._delays, said)
            for line in {item for item in ready if isinstance(item, Every)}:
                results += await self._patiently(self._ledger.tick, line)
            if results:
                await self._decided.put(results)

    async def _next_group(self) -> list[Work | Result | Every]:
        if not self._said:
            return await _some(self._ready, LARGEST_GROUP)
        try:
            async with asyncio.timeout(MARK_SECONDS):
                return await _some(self._ready, LARGEST_GROUP)
        except TimeoutError:
            return []

    @property
    def _delays(self) -> tuple[float, ...]:
        return self._tools.settings.retry_delays

    async def _publish_stage(self) -> None:
        while True:
            results = await self._decided.get()
            await self._publish([message for result in results for message in self._messages(result)])
            await self._door.settle([r.delivery.tag for r in results if r.delivery is not None])
            self._settled(sum(1 for r in results if r.delivery is not None))

    def _messages(self, result: Result) -> list[Outgoing]:
        """What `result` has the broker hear: its events first, then the message itself if it goes elsewhere."""
        messages = [saying.outgoing(self._service.name) for saying in result.sayings]
        if result.delivery is not None and isinstance(result.verdict, RetryAfter):
            now = self._tools.now()
            messages.append(for_another_try(result.delivery, result.verdict, self._service.name, now))
            self._tell("message.retried", result, result.verdict, seconds=result.verdict.seconds)
        elif result.delivery is not None and isinstance(result.verdict, DeadLetter):
            messages.append(set_aside(result.delivery, result.verdict, self._service.name))
            self._tell("message.dead_lettered", result, result.verdict, reason=result.verdict.reason.value)
        return messages

    def _tell(self, event: str, result: Result, verdict: RetryAfter | DeadLetter, **more: Any) -> None:
        known = result.work.bound() if result.work else {"attempt": verdict.attempt}
        log.warning(event, detail=verdict.detail, **more, **known)

    async def _publish(self, messages: list[Outgoing]) -> None:
        """Publish and wait for the confirms. Raises BrokerTrouble when one is missing: nothing is lost by it."""
        fates = await self._door.publish(messages)
        own = f"{self._service.name}.events"
        for message, fate in zip(messages, fates, strict=True):
            if fate is Fate.CONFIRMED and message.exchange == own and message.properties.message_id:
                self._said.append(message.properties.message_id)
        for message, fate in zip(messages, fates, strict=True):
            if fate is not Fate.CONFIRMED:
                what = f"{message.routing_key} to {message.exchange}"
                raise BrokerTrouble(f"publishing {what}: {fate.value}")

    def _settled(self, count: int) -> None:
        self._in_hand -= count
        if self._stopping.is_set() and not self._in_hand:
            self._quiet.set()

    async def _clock(self, line: Every) -> None:
        while True:
            self._ready.put_nowait(line)
            await asyncio.sleep(line.seconds)

    async def _relay(self, older_than: dt.timedelta) -> None:
        """Say what was decided and not said."""
        after = 0
        while True:
            sayings, after = await self._patiently(self._ledger.unsaid, LARGEST_GROUP, after)
            limit = self._tools.now() - older_than
            due = [saying for saying in sayings if saying.decided_at <= limit]
            if due:
                log.info("outbox.relayed", events=len(due))
                await self._publish([saying.outgoing(self._service.name) for saying in due])
            if not sayings:
                return

    async def _relay_stale(self) -> None:
        while True:
            await asyncio.sleep(STALE_SECONDS)
            await self._relay(older_than=dt.timedelta(seconds=STALE_SECONDS))

    async def _drain(self, stages: list["asyncio.Task[None]"]) -> None:
        """Once asked to stop: take nothing more, give back what was not begun, finish what was."""
        await self._stopping.wait()
        never_started: list[Delivery] = await self._door.stop_deliveries()
        await self._door.give_back([delivery.tag for delivery in never_started])
        if self._in_hand:
            try:
                async with asyncio.timeout(self._tools.settings.drain):
                    await self._quiet.wait()
            except TimeoutError:
                log.warning("drain.cut_short", deliveries=self._in_hand)
        for stage in stages:
            stage.cancel()
        if self._said:
            await self._on_thread(self._ledger.mark_said, self._said)
        log.info("worker.stopped")

    async def _on_thread(self, do: Callable[..., T], *args: Any) -> T:
        bound = contextvars.copy_context().run  # so that what is logged there names the service too
        return await asyncio.get_running_loop().run_in_executor(self._tools.thread, bound, do, *args)

    async def _patiently(self, do: Callable[..., T], *args: Any) -> T:
        """Run `do` on the database thread, again and again while the database does not answer.

        Nothing is taken from the queue meanwhile beyond the prefetch, and nothing is set aside.
        """
        while True:
            try:
                return await self._on_thread(do, *args)
            except DatabaseTrouble as trouble:
                log.error("database.troubled", error=str(trouble), again_in_s=PAUSE_SECONDS)
                await asyncio.sleep(PAUSE_SECONDS)


async def _some(queue: "asyncio.Queue[T]", most: int) -> list[T]:
    """At least one, and whatever else is there already."""
    first = await queue.get()
    return [first, *(queue.get_nowait() for _ in range(min(most - 1, queue.qsize())))]
