"""A worker short of its own resources receives nothing; its sessions end and follow one another as always."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from choregraphie import BrokerUnavailable, ResourceShortage, retrying
from choregraphie.pipeline import context
from choregraphie.pipeline.decoder import Decoder
from choregraphie.storage.batch import Batch
from choregraphie.telemetry.metrics import Instruments, ServiceMetrics
from tests.support.fake_session import FakeSession, until
from tests.support.running_pipeline import RunningPipeline, order, running_pipeline, worker_context
from tests.support.sample_service import SAMPLE_SERVICE
from tests.support.supervised import consuming, supervised

if TYPE_CHECKING:
    from collections.abc import Callable

    from choregraphie import Settings

LOST_SESSIONS = 12


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(retrying, "backoff", lambda failures, rng: 0.01)


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
                await asyncio.wait_for(begun.running, 60)
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
                await asyncio.wait_for(run.running, 60)
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
    original, full = Batch.write, [True]

    def write(batch: Batch) -> None:
        if full:
            raise MemoryError
        original(batch)

    monkeypatch.setattr(Batch, "write", write)
    with capture_logs() as logs, worker_context(SAMPLE_SERVICE, settings) as ready:
        async with supervised(ready) as sessions:
            await until(lambda: consuming(sessions))
            sessions[0].deliver(order())
            await until(lambda: any(line["event"] == "worker.short_of_resources" for line in logs))
            for _ in range(LOST_SESSIONS):
                await lose_session(sessions)
                assert sessions[-1].actions == []
            full.clear()
            await until(lambda: consuming(sessions))
            assert sessions[-1].actions[0] == ("publish", ("stock.reserve",)), (
                "done and published before it is redelivered"
            )
            tag = sessions[-1].deliver(order())
            await until(lambda: sessions[-1].acked == [tag])
            assert len(sessions[-1].published) == 1, "the redelivery is a repetition"


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EMFILE, "x")], ids=["memory", "descriptors"])
async def test_a_session_that_ends_for_lack_of_resources_is_followed_by_another(
    settings: Settings, error: Exception
) -> None:
    def opening(number: int) -> None:
        if number < LOST_SESSIONS:
            raise error

    with capture_logs() as logs, worker_context(SAMPLE_SERVICE, settings) as ready:
        async with supervised(ready, opening) as sessions:
            await until(lambda: consuming(sessions))
    events = [line["event"] for line in logs if "resources" in line["event"]]
    assert events == ["worker.short_of_resources", "worker.resources_recovered"]
