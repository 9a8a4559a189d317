"""A worker short of its own resources waits, receives nothing, sends nothing away, and continues when it can."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from choregraphie import BrokerUnavailable, ResourceShortage
from choregraphie.pipeline import context, supervisor
from choregraphie.pipeline.decoder import Decoder
from choregraphie.pipeline.supervisor import supervise
from choregraphie.storage.batch import Batch
from choregraphie.telemetry.metrics import Instruments, ServiceMetrics
from services.notification import SERVICE as NOTIFICATION
from tests.support.event_builders import creee
from tests.support.fake_session import FakeSession, until
from tests.support.running_pipeline import RunningPipeline, envelope, order, running_pipeline, worker_context
from tests.support.sample_service import SAMPLE_SERVICE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from choregraphie import Settings
    from choregraphie.pipeline.context import WorkerContext

# More than the tries of any message.
MANY_TIMES = 12


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "PAUSE_SECONDS", 0.02)


class Carrier:
    """A carrier that cannot be called for a while, because something is lacking."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    async def envoyer(self, *message: str) -> str:
        self.asked += 1
        if self.asked <= MANY_TIMES:
            raise self.error
        return "x@clients.invalid"


def nothing_sent_away(run: RunningPipeline) -> bool:
    return not any(message.exchange.endswith((".retry", ".dlx")) for message in run.session.published)


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EMFILE, os.strerror(errno.EMFILE)), MemoryError(), ResourceShortage("a mail folder")],
    ids=["descriptors", "memory", "a mail folder"],
)
async def test_a_call_that_fails_for_lack_of_resources_is_no_try(settings: Settings, error: Exception) -> None:
    carrier = Carrier(error)
    with capture_logs() as logs:
        async with running_pipeline(settings, NOTIFICATION, carrier) as run:
            tag = run.session.deliver(envelope(creee()))
            await until(lambda: run.session.acked == [tag])
            assert nothing_sent_away(run)
            await run.stop()
    assert carrier.asked == MANY_TIMES + 1
    events = [
        line["event"] for line in logs if line["event"].startswith("worker.") and "resources" in line["event"]
    ]
    assert events == ["worker.short_of_resources", "worker.had_resources_again"]


async def test_a_name_that_is_not_resolved_for_lack_of_descriptors_is_no_try(settings: Settings) -> None:
    """The resolver then reports an unknown name."""
    carrier = Carrier(OSError("no such name"))

    def check() -> None:
        if 0 < carrier.asked <= MANY_TIMES:
            raise ResourceShortage("file descriptors")

    begun = RunningPipeline(NOTIFICATION, settings, carrier, check_resources=check)
    try:
        tag = begun.session.deliver(envelope(creee()))
        await until(lambda: begun.session.acked == [tag])
        assert nothing_sent_away(begun)
    finally:
        await begun.close()


def failing(monkeypatch: pytest.MonkeyPatch, cls: Any, name: str) -> Iterator[int]:
    """Make a method of `cls` run out of memory MANY_TIMES. The iterator yields the number of calls."""
    original = getattr(cls, name)
    times = [0]

    def short(*args: Any, **more: Any) -> Any:
        times[0] += 1
        if times[0] <= MANY_TIMES:
            raise MemoryError
        return original(*args, **more)

    monkeypatch.setattr(cls, name, short)
    return iter(lambda: times[0], -1)


@pytest.mark.parametrize(("cls", "name"), [(Batch, "carry_out"), (Decoder, "_decode"), (Batch, "write")])
async def test_decoding_and_reacting_without_memory_are_no_tries(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, cls: Any, name: str
) -> None:
    async with running_pipeline(settings) as run:
        await until(lambda: ("consume", ()) in run.session.actions)
        times = failing(monkeypatch, cls, name)
        tags = [run.session.deliver(order(f"C-{number}")) for number in range(3)]
        await until(lambda: sorted(run.session.acked) == tags)
        assert next(times) > MANY_TIMES
        assert nothing_sent_away(run)
        assert sorted(message.routing_key for message in run.session.published) == ["stock.reserve"] * 3
        await run.stop()


async def test_a_message_whose_decoding_fails_is_set_aside_and_the_others_pass(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Decoder._decode

    def broken(self: Decoder, delivery: Any) -> Any:
        if delivery.headers:
            raise TypeError("a bug")
        return original(self, delivery)

    monkeypatch.setattr(Decoder, "_decode", broken)
    async with running_pipeline(settings) as run:
        tags = [run.session.deliver(order("BAD"), headers={"x": 1}), run.session.deliver(order("GOOD"))]
        await until(lambda: sorted(run.session.acked) == tags)
        assert sorted(message.exchange for message in run.session.published) == ["stock.dlx", "stock.events"]
        await run.stop()


async def test_a_worker_receives_nothing_until_it_has_resources(settings: Settings) -> None:
    lacking = ["file descriptors"]

    def check() -> None:
        if lacking:
            raise ResourceShortage(lacking[0])

    registry = CollectorRegistry()
    telemetry = ServiceMetrics("stock", Instruments(registry))
    with capture_logs() as logs:
        begun = RunningPipeline(SAMPLE_SERVICE, settings, check_resources=check, telemetry=telemetry)
        try:
            await until(lambda: any(line["event"] == "worker.short_of_resources" for line in logs))
            assert begun.session.actions == []
            assert registry.get_sample_value("saga_worker_blocked", {"service": "stock"}) == 1
            lacking.clear()
            await until(lambda: ("consume", ()) in begun.session.actions)
            await until(lambda: telemetry.ready)
            await begun.stop()
        finally:
            await begun.close()


async def test_a_session_that_is_lost_while_the_worker_waits_for_resources_ends_at_once(
    settings: Settings,
) -> None:
    def check() -> None:
        raise ResourceShortage("file descriptors")

    with capture_logs() as logs:
        begun = RunningPipeline(SAMPLE_SERVICE, settings, check_resources=check)
        try:
            await until(lambda: any(line["event"] == "worker.short_of_resources" for line in logs))
            begun.session.lose()
            with pytest.raises(BrokerUnavailable):
                await asyncio.wait_for(begun.running, 10)
            assert begun.session.actions == []
        finally:
            await begun.close()


async def test_a_session_that_is_lost_while_a_delivery_cannot_be_decoded_ends_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Decoder, "_decode", short)
    with capture_logs() as logs:
        async with running_pipeline(settings) as run:
            run.session.deliver(order())
            await until(lambda: any(line["event"] == "worker.short_of_resources" for line in logs))
            run.session.lose()
            with pytest.raises(ExceptionGroup) as caught:
                await asyncio.wait_for(run.running, 10)
            assert caught.group_contains(BrokerUnavailable)


async def lose_session(sessions: list[FakeSession]) -> None:
    """The newest session is lost, and another is opened."""
    before = len(sessions)
    sessions[-1].lose()
    await until(lambda: len(sessions) > before)


async def test_work_that_a_lost_session_could_not_do_is_done_before_the_next_one_receives(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database takes the small commit of the check before consuming, and not the work."""
    monkeypatch.setattr(supervisor, "backoff", lambda failures, rng: 0.01)
    original, full = Batch.write, [True]

    def write(batch: Batch) -> None:
        if full:
            raise MemoryError
        original(batch)

    monkeypatch.setattr(Batch, "write", write)
    sessions: list[FakeSession] = []

    @contextlib.asynccontextmanager
    async def opened(_: WorkerContext) -> AsyncIterator[FakeSession]:
        sessions.append(FakeSession())
        yield sessions[-1]

    stopping = asyncio.Event()
    with capture_logs() as logs, worker_context(SAMPLE_SERVICE, settings) as ready:
        running = asyncio.create_task(supervise(ready, stopping, opened))
        await until(lambda: ("consume", ()) in sessions[-1].actions if sessions else False)
        sessions[0].deliver(order())
        await until(lambda: any(line["event"] == "worker.short_of_resources" for line in logs))
        for _ in range(MANY_TIMES):
            await lose_session(sessions)
            assert sessions[-1].actions == []
        full.clear()
        await until(lambda: ("consume", ()) in sessions[-1].actions)
        assert sessions[-1].actions[0] == ("publish", ("stock.reserve",)), (
            "done and published before it is redelivered"
        )
        tag = sessions[-1].deliver(order())
        await until(lambda: sessions[-1].acked == [tag])
        assert len(sessions[-1].published) == 1, "the redelivery is a repetition"
        stopping.set()
        await running


async def test_a_worker_without_resources_is_not_ready_though_it_has_a_session(settings: Settings) -> None:
    telemetry = ServiceMetrics("notification", Instruments(CollectorRegistry()))
    carrier = Carrier(OSError(errno.ENOSPC, "full"))
    begun = RunningPipeline(NOTIFICATION, settings, carrier, telemetry=telemetry)
    try:
        await until(lambda: telemetry.ready)
        tag = begun.session.deliver(envelope(creee()))
        await until(lambda: not telemetry.ready)
        await until(lambda: begun.session.acked == [tag])
        await until(lambda: telemetry.ready)
        await begun.stop()
    finally:
        await begun.close()


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EMFILE, "x")], ids=["memory", "descriptors"])
async def test_a_session_that_ends_for_lack_of_resources_is_followed_by_another(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(supervisor, "backoff", lambda failures, rng: 0.01)
    sessions: list[FakeSession] = []

    @contextlib.asynccontextmanager
    async def opened(_: WorkerContext) -> AsyncIterator[FakeSession]:
        sessions.append(FakeSession())
        if len(sessions) < MANY_TIMES:
            raise error
        yield sessions[-1]

    stopping = asyncio.Event()
    with capture_logs() as logs, worker_context(SAMPLE_SERVICE, settings) as ready:
        running = asyncio.create_task(supervise(ready, stopping, opened))
        await until(lambda: ("consume", ()) in sessions[-1].actions if sessions else False)
        stopping.set()
        await running
    events = [line["event"] for line in logs if "resources" in line["event"]]
    assert events == ["worker.short_of_resources", "worker.had_resources_again"]


async def test_a_service_whose_own_external_fails_receives_nothing(settings: Settings) -> None:
    invocations: list[Callable[[], None]] = []

    async def check(_: object) -> None:
        if not invocations:
            raise ResourceShortage("a folder")

    async with running_pipeline(settings, replace(SAMPLE_SERVICE, check=check)) as run:
        await asyncio.sleep(0.1)
        assert run.session.actions == []
        invocations.append(lambda: None)
        await until(lambda: ("consume", ()) in run.session.actions)
        await run.stop()
