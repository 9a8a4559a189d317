"""Sends notices to the log and to all notifiers.

Each notifier has a bounded queue and a task of its own, which retries with growing pauses. So a receiver that is
slow, flaky or gone delays no other. A notice that is not taken is counted, and sent again later.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence

import httpx
import structlog

from choregraphie import Settings
from choregraphie.retrying import backoff
from choregraphie.saga.saga_set import SagaSet
from saga_monitor.alerting.notifiers import Apprise, NotificationFailed, Notifier, Webhook
from saga_monitor.alerting.rules import Notice, Status, path_of

log = structlog.get_logger()

OUTCOMES = ("delivered", "dropped", "failed_tries")
QUEUE_LIMIT = 100
TRIES = 5
TIMEOUT_SECONDS = 10.0
DRAIN_SECONDS = 3.0  # to deliver queued notices when the monitor ends


class Dispatcher:
    """All notifiers. `counts`: notices by notifier and outcome: `delivered`, `dropped` or `failed_tries`."""

    def __init__(self, notifiers: Sequence[Notifier]) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.names = [notifier.name for notifier in notifiers]
        self._delivered: deque[tuple[str, Notice]] = deque()
        self._queues = [_DeliveryQueue(notifier, self.counts, self._delivered) for notifier in notifiers]

    def delivered(self) -> list[tuple[str, Notice]]:
        """The notices delivered since the last call, each with the name of its notifier."""
        return [self._delivered.popleft() for _ in range(len(self._delivered))]

    def outcome_counts(self) -> dict[tuple[str, str], int]:
        """`counts`, with 0 for outcomes that have not happened yet."""
        all_of_them = [(queue.name, outcome) for queue in self._queues for outcome in OUTCOMES]
        return {("log", "delivered"): 0, **dict.fromkeys(all_of_them, 0), **self.counts}

    def notify(self, notices: Sequence[Notice]) -> None:
        """Log the notices and add them to every queue. Never waits."""
        for notice in notices:
            _to_log(notice)
            self.counts["log", "delivered"] += 1
            for queue in self._queues:
                queue.put(notice)

    def redeliver(self, undelivered: Sequence[tuple[str, Notice]]) -> None:
        """Add each notice to the queue of the notifier that has not taken it."""
        for name, notice in undelivered:
            for queue in self._queues:
                if queue.name == name:
                    queue.put(notice)

    async def run(self) -> None:
        """Deliver for ever."""
        async with asyncio.TaskGroup() as tasks:
            for queue in self._queues:
                tasks.create_task(queue.run())

    async def finish(self) -> None:
        """Wait up to DRAIN_SECONDS until the queues are empty; `run` must still be running."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await asyncio.gather(*(queue.join() for queue in self._queues))


class _DeliveryQueue:
    def __init__(
        self, receiver: Notifier, counts: Counter[tuple[str, str]], delivered: deque[tuple[str, Notice]]
    ) -> None:
        self.name = receiver.name
        self._delivered = delivered
        self._queued: set[tuple[str, Status]] = set()
        self._receiver, self._counts = receiver, counts
        self._waiting: asyncio.Queue[Notice] = asyncio.Queue(QUEUE_LIMIT)

    def put(self, notice: Notice) -> None:
        if (notice.id, notice.status) in self._queued:
            return  # already queued
        try:
            self._waiting.put_nowait(notice)
            self._queued.add((notice.id, notice.status))
        except asyncio.QueueFull:
            self._dropped(notice, "too many are waiting")

    async def join(self) -> None:
        await self._waiting.join()

    async def run(self) -> None:
        while True:
            notice = await self._waiting.get()
            try:
                await self._deliver(notice)
            finally:
                self._queued.discard((notice.id, notice.status))
                self._waiting.task_done()

    async def _deliver(self, notice: Notice) -> None:
        for tries in range(1, TRIES + 1):
            failure = await self._try(notice)
            if failure is None:
                self._counts[self.name, "delivered"] += 1
                self._delivered.append((self.name, notice))
                return
            self._counts[self.name, "failed_tries"] += 1
            if tries == TRIES or not failure.retryable:
                self._dropped(notice, str(failure))
                return
            await asyncio.sleep(backoff(tries))

    async def _try(self, notice: Notice) -> NotificationFailed | None:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._receiver.notify(notice)
        except TimeoutError:
            return NotificationFailed(f"no answer in {TIMEOUT_SECONDS:.0f} s")
        except NotificationFailed as failure:
            return failure
        except Exception as error:  # noqa: BLE001 - a fault of a plugin must not end the queue
            return NotificationFailed(type(error).__name__)
        return None

    def _dropped(self, notice: Notice, why: str) -> None:
        self._counts[self.name, "dropped"] += 1
        log.error("alert.dropped", receiver=self.name, why=why, alert=notice.title)


def _to_log(notice: Notice) -> None:
    alert = notice.alert
    log_notice = log.info if notice.status is Status.CLOSED else log.warning
    log_notice(
        f"alert.{notice.status}",
        severity=str(alert.severity),
        kind=str(alert.kind),
        service=alert.service,
        reason=str(alert.reason),
        count=alert.count,
        instances=[path_of(instance) for instance in alert.instances],
        sentence=alert.sentence,
    )


@contextlib.asynccontextmanager
async def open_dispatcher(settings: Settings, sagas: SagaSet) -> AsyncIterator[Dispatcher]:
    """A dispatcher with the notifiers that the settings name. Raises BadSetting when one cannot be used."""
    notifiers: list[Notifier] = (
        [Apprise(settings.alert_apprise, sagas, settings)] if settings.alert_apprise.strip() else []
    )
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
        if settings.alert_webhook:
            notifiers.append(Webhook(settings.alert_webhook, client, sagas, settings))
        yield Dispatcher(notifiers)
