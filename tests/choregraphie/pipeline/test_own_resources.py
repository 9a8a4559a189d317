"""A worker short of its own resources waits, receives nothing, sends nothing away, and continues when it can."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from choregraphie import ResourceShortage
from choregraphie.pipeline import context
from choregraphie.pipeline.decoder import Decoder
from choregraphie.storage.batch import Batch
from choregraphie.telemetry.metrics import Instruments, ServiceMetrics
from services.notification import SERVICE as NOTIFICATION
from tests.support.event_builders import creee
from tests.support.fake_session import until
from tests.support.running_pipeline import RunningPipeline, envelope, order, running_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from choregraphie import Settings

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
    assert events == ["worker.short_of_resources", "worker.resources_recovered"]


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
