"""The services of either kind of saga, one at a time, over the simulator's model of the broker.

Their pipelines and their databases are the real ones.
Nothing runs concurrently, so a scenario chooses which message overtakes which, and where a worker dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from choregraphie.failpoints import Place, watched
from choregraphie.messaging import ContentHeader, Delivery, Outgoing, PublishOutcome
from choregraphie.pipeline.context import WorkerContext
from choregraphie.pipeline.pipeline import Pipeline
from choregraphie.saga.topology import HISTORY
from choregraphie.simulator.broker_model import Broker, headers_of
from choregraphie.simulator.queues import Message
from choregraphie.storage.database import open_database
from choregraphie.storage.store import Store, StoreLimits
from choregraphie.telemetry.hooks import UNTRACED, Tracing
from scripts.nemesis.databases import Databases, read_databases
from scripts.nemesis.gateway import Gateway
from scripts.nemesis.history import DeadLetter, History, Published, QueueState, StreamEntry
from scripts.nemesis.orders import CATALOGUE, EXCHANGE
from scripts.nemesis.recorder import read_mails, reasons
from services.application import APP
from services.settings import OrderSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from choregraphie import Application
# A worker that is still busy after this long never becomes idle.
LONGEST_SECONDS = 90
ROUNDS = 60
# Longer than any retry delay: when this much time passes, every waiting retry expires.
ALL_DELAYS_SECONDS = 3600.0


class PowerCut(BaseException):
    """Kills the worker between two statements. A BaseException, so that no handler catches it."""


class InProcessSaga:
    def __init__(
        self,
        folder: Path,
        tracing_of: Callable[[str], Tracing] = lambda _: UNTRACED,
        application: Application = APP,
    ) -> None:
        self._application = application
        self._folder = folder
        self._tracing_of = tracing_of
        self._gateway = Gateway()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "catalogue.toml").write_text(CATALOGUE)
        self.settings = OrderSettings(
            database_url=f"sqlite:///{folder}/{{service}}.sqlite3",
            catalogue=folder / "catalogue.toml",
            carrier=f"maildir:{folder}/courrier",
            gateway=self._gateway.url,
            retry_delays=(0.2, 0.5),
            call_timeout=2,
        )
        self.broker = Broker(application.topology(self.settings))
        self.published: list[Published] = []
        self._thread = ThreadPoolExecutor(1)

    def publish(self, key: str, body: bytes, refused: Mapping[str, str] | None = None) -> None:
        """Publish a client's event. `refused`: see `Published`."""
        self.published.append(Published(EXCHANGE, key, body, refused=refused or {}))
        self.broker.publish(Message(body, EXCHANGE, key))

    def refuse_calls(self, behaviour: str, times: int) -> None:
        """Let the card gateway treat the next calls so: one of its behaviours."""
        self._gateway.behave(*[behaviour] * times)

    def work(
        self, service: str, dies_at: Place | None = None, idle_seconds: float | None = None, **settings: Any
    ) -> None:
        """Run a worker of `service` until its inbox is empty, or until it dies at `dies_at`.

        With `idle_seconds` it stays idle for that long, and then dies.
        """
        chosen = self.settings.model_copy(update=settings)
        with _dying_at(dies_at):
            asyncio.run(self._work(service, chosen, idle_seconds))

    def settle(self) -> None:
        """Run every worker and let every retry delay pass, until no message is left to handle."""
        for _ in range(ROUNDS):
            for service in self._application.by_name:
                self.work(service)
            delayed = self.broker.next_expiry() is not None
            self.broker.expire(self.broker.now + ALL_DELAYS_SECONDS)
            left = sum(len(self.broker.queues[f"{service}.inbox"]) for service in self._application.by_name)
            if not delayed and not left:
                return
        raise TimeoutError(f"still messages to handle after {ROUNDS} rounds")

    def take(self, queue: str) -> Message:
        """Remove the first message of a queue."""
        source = self.broker.queues[queue]
        taken = source.take()
        assert taken is not None, f"{queue} is empty"
        number, message = taken
        source.ack(number)
        return message

    def overtake(self, service: str) -> None:
        """Move the first message of the service's inbox behind all the others."""
        self.broker.put(f"{service}.inbox", self.take(f"{service}.inbox"))

    def send_back(self, service: str, message: Message, **headers: Any) -> None:
        """Publish a message to the requeue exchange of `service`, with `headers` added."""
        self.broker.publish(
            replace(message, exchange=f"{service}.requeue", headers={**message.headers, **headers})
        )

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        return tuple(
            _dead_letter(service, message)
            for service in self._application.by_name
            for message in self.broker.queues[f"{service}.dlq"]
        )

    def record(self, services: Sequence[str] = ()) -> tuple[History, Databases]:
        """The history, and the databases of `services`; without any, those of every service."""
        history = History(
            published=tuple(self.published),
            stream=tuple(self._stream()),
            dead_letters=self.dead_letters(),
            queues=tuple(
                QueueState(name, queue.messages, len(queue), queue.unacked, 0)
                for name, queue in self.broker.queues.items()
            ),
            mails=read_mails(self._folder / "courrier"),
            charges=self._gateway.charges(),
            saga=self._application.sagas[0],
        )
        known = services or tuple(self._application.by_name)
        return history, read_databases(self.settings.database_url, known)

    def _stream(self) -> Iterator[StreamEntry]:
        for message in (entry.message for entry in self.broker.streams[HISTORY].entries):
            yield StreamEntry(message.exchange, message.routing_key, message.body, *reasons(message.headers))

    def close(self) -> None:
        self._thread.shutdown()
        self._gateway.close()

    async def _work(self, name: str, settings: OrderSettings, idle_seconds: float | None) -> None:
        service = self._application.by_name[name]
        database = open_database(service, settings)
        tracing = self._tracing_of(name)
        store = Store(service, database, StoreLimits.of(settings), lambda: dt.datetime.now(dt.UTC), tracing.traced)
        externals: Any = service.externals(settings) if service.externals else contextlib.nullcontext()
        session = InProcessSession(self.broker, name)
        try:
            async with externals as opened, asyncio.timeout(LONGEST_SECONDS):
                context = WorkerContext(
                    store, settings, self._thread, opened, lambda: dt.datetime.now(dt.UTC), tracing=tracing
                )
                await _run_until_idle(context, session, idle_seconds)
        except BaseExceptionGroup as group:
            if group.subgroup(PowerCut) is None:
                raise
        finally:
            session.lose()
            # A stage that was cancelled may have left a transaction under way on the thread.
            self._thread.submit(lambda: None).result()
            database.close()


class InProcessSession:
    """The only session of one service. When it is lost, what it did not acknowledge goes back to the inbox."""

    lost: str | None = None

    def __init__(self, broker: Broker, service: str) -> None:
        self._broker = broker
        self._inbox = broker.queues[f"{service}.inbox"]
        self._unacked: set[int] = set()

    @property
    def idle(self) -> bool:
        return not len(self._inbox) and not self._unacked

    def lose(self) -> None:
        for tag in sorted(self._unacked):
            self._inbox.requeue(tag)
        self._unacked.clear()

    async def until_lost(self) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    async def consume(self) -> None: ...

    async def deliveries(self, most: int) -> list[Delivery]:
        if not len(self._inbox):
            # No other service runs meanwhile, so nothing more arrives in this session.
            await asyncio.Event().wait()
        return [self._deliver() for _ in range(min(most, len(self._inbox)))]

    def _deliver(self) -> Delivery:
        taken = self._inbox.take()
        assert taken is not None
        tag, message = taken
        self._unacked.add(tag)
        return Delivery(
            tag,
            message.body,
            message.exchange,
            message.routing_key,
            ContentHeader(headers_of(message), message.properties),
            redelivered=message.count > 0,
        )

    async def publish(self, batch: Sequence[Outgoing]) -> list[PublishOutcome]:
        reached = [self._broker.publish(_message(outgoing)) for outgoing in batch]
        return [PublishOutcome.CONFIRMED if queues else PublishOutcome.RETURNED for queues in reached]

    async def ack(self, tags: Sequence[int]) -> None:
        for tag in tags:
            self._inbox.ack(tag)
            self._unacked.discard(tag)

    async def requeue(self, tags: Sequence[int]) -> None:
        for tag in tags:
            self._inbox.requeue(tag)
            self._unacked.discard(tag)

    async def is_consuming(self) -> bool:
        return True

    async def stop_deliveries(self) -> list[Delivery]:
        return []


def _dead_letter(service: str, message: Message) -> DeadLetter:
    reason, broker = reasons(message.headers)
    return DeadLetter(service, message.body, reason, broker=broker)


def _message(out: Outgoing) -> Message:
    return Message(out.body, out.exchange, out.routing_key, dict(out.headers), out.properties, out.expiration_ms)


async def _run_until_idle(context: WorkerContext, session: InProcessSession, idle_seconds: float | None) -> None:
    stopping = asyncio.Event()
    running = asyncio.create_task(Pipeline(context, session, stopping).run())
    idle = 0
    # Idle ten times in a row: a delivery that a mutant acknowledged early may still be in the pipeline.
    while idle < 10 and not running.done():
        await asyncio.sleep(0.005)
        idle = idle + 1 if session.idle else 0
    if idle_seconds is None:
        stopping.set()
    else:
        await asyncio.sleep(idle_seconds)
        running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


def _dying_at(place: Place | None) -> contextlib.AbstractContextManager[None]:
    def passing(at: Place) -> None:
        if at is place:
            raise PowerCut(at)

    return watched(passing)
