"""Who is told of alerts: the log, a webhook, and whatever Apprise knows.

Each receiver has a lane: a bounded queue and a task of its own, which tries again with growing pauses. A receiver
that is slow, flaky or gone costs nobody else's time. What it does not take is counted, and told again later.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence

import httpx
import structlog

from choregraphie import Settings
from choregraphie.pipeline import backoff
from saga_monitor.alerting.receivers import Apprise, Notifier, NotifierUnavailable, Webhook
from saga_monitor.alerting.rules import Notice, Status

log = structlog.get_logger()

OUTCOMES = ("told", "dropped", "failed_tries")
WAITING_AT_MOST = 100
TRIES = 5
PATIENCE_SECONDS = 10.0
FAREWELL_SECONDS = 3.0  # for the notices that wait when the monitor ends


class Notifiers:
    """All of them. `counts`: notices by receiver and what became of them: `told`, `dropped`, `failed_tries`."""

    def __init__(self, receivers: Sequence[Notifier]) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.names = [receiver.name for receiver in receivers]
        self._taken: deque[tuple[str, Notice]] = deque()
        self._lanes = [_Lane(receiver, self.counts, self._taken) for receiver in receivers]

    def taken(self) -> list[tuple[str, Notice]]:
        """What was taken since this was last asked, and by whom."""
        return [self._taken.popleft() for _ in range(len(self._taken))]

    def counted(self) -> dict[tuple[str, str], int]:
        """`counts`, and nought for what has not happened yet."""
        all_of_them = [(lane.name, outcome) for lane in self._lanes for outcome in OUTCOMES]
        return {("log", "told"): 0, **dict.fromkeys(all_of_them, 0), **self.counts}

    def tell(self, notices: Sequence[Notice]) -> None:
        """Say it in the log, and hand it to every lane; never waits."""
        for notice in notices:
            _to_log(notice)
            self.counts["log", "told"] += 1
            for lane in self._lanes:
                lane.put(notice)

    def tell_again(self, owed: Sequence[tuple[str, Notice]]) -> None:
        """Hand each to the lane of the one who has not taken it; the log and the others know."""
        for name, notice in owed:
            for lane in self._lanes:
                if lane.name == name:
                    lane.put(notice)

    async def run(self) -> None:
        """Deliver for ever."""
        async with asyncio.TaskGroup() as tasks:
            for lane in self._lanes:
                tasks.create_task(lane.run())

    async def finish(self) -> None:
        """Give what is still waiting a moment to be delivered; `run` must still be running."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await asyncio.gather(*(lane.join() for lane in self._lanes))


class _Lane:
    def __init__(
        self, receiver: Notifier, counts: Counter[tuple[str, str]], taken: deque[tuple[str, Notice]]
    ) -> None:
        self.name = receiver.name
        self._taken = taken
        self._in_hand: set[tuple[str, Status]] = set()
        self._receiver, self._counts = receiver, counts
        self._waiting: asyncio.Queue[Notice] = asyncio.Queue(WAITING_AT_MOST)

    def put(self, notice: Notice) -> None:
        if (notice.id, notice.status) in self._in_hand:
            return  # told again while it waits: once is enough
        try:
            self._waiting.put_nowait(notice)
            self._in_hand.add((notice.id, notice.status))
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
                self._in_hand.discard((notice.id, notice.status))
                self._waiting.task_done()

    async def _deliver(self, notice: Notice) -> None:
        for tries in range(1, TRIES + 1):
            trouble = await self._try(notice)
            if trouble is None:
                self._counts[self.name, "told"] += 1
                self._taken.append((self.name, notice))
                return
            self._counts[self.name, "failed_tries"] += 1
            if tries == TRIES or not trouble.worth_another_try:
                self._dropped(notice, str(trouble))
                return
            await asyncio.sleep(backoff(tries))

    async def _try(self, notice: Notice) -> NotifierUnavailable | None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._receiver.tell(notice)
        except TimeoutError:
            return NotifierUnavailable(f"no answer in {PATIENCE_SECONDS:.0f} s")
        except NotifierUnavailable as trouble:
            return trouble
        except Exception as error:  # noqa: BLE001 - a plugin's fault is the plugin's; the lane goes on
            return NotifierUnavailable(type(error).__name__)
        return None

    def _dropped(self, notice: Notice, why: str) -> None:
        self._counts[self.name, "dropped"] += 1
        log.error("alert.dropped", receiver=self.name, why=why, alert=notice.title)


def _to_log(notice: Notice) -> None:
    alert = notice.alert
    say = log.info if notice.status is Status.CLOSED else log.warning
    say(
        f"alert.{notice.status}",
        severity=str(alert.severity),
        kind=str(alert.kind),
        service=alert.service,
        reason=str(alert.reason),
        count=alert.count,
        orders=list(alert.orders),
        sentence=alert.sentence,
    )


@contextlib.asynccontextmanager
async def open_notifiers(settings: Settings) -> AsyncIterator[Notifiers]:
    """Those that the settings name. Raises BadSetting when one cannot be used."""
    receivers: list[Notifier] = (
        [Apprise(settings.alert_apprise, settings)] if settings.alert_apprise.strip() else []
    )
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
        if settings.alert_webhook:
            receivers.append(Webhook(settings.alert_webhook, client, settings))
        yield Notifiers(receivers)
