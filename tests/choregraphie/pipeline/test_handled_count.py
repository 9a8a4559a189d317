"""A worker logs how much it handles, not each delivery; level debug shows each."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, Literal

import pytest

from choregraphie.logs import configure_logs
from choregraphie.pipeline import handled_count
from tests.support.fake_session import until
from tests.support.running_pipeline import order, running_pipeline

if TYPE_CHECKING:
    from choregraphie import Settings

COUNTS = ("deliveries", "events", "batches")


async def lines_of_a_worker(
    settings: Settings, orders: int, log_level: Literal["debug", "info"] = "info"
) -> list[dict[str, Any]]:
    """What a worker logs that handles so many orders, the first of them twice, and ends."""
    out = io.StringIO()
    configure_logs(settings.model_copy(update={"log_level": log_level}), out)
    async with running_pipeline(settings) as run:
        heard = [order(f"C-{number}") for number in range(orders)]
        tags = [run.session.deliver(one) for one in [*heard, *heard[:1]]]
        await until(lambda: sorted(run.session.acked) == tags)
        await until(lambda: ("consume", ()) in run.session.actions)
        await run.stop()
    return [json.loads(line) for line in out.getvalue().splitlines()]


def counted(lines: list[dict[str, Any]]) -> list[int]:
    """The sums of the counts in `lines`."""
    found = [line for line in lines if line["event"] == "deliveries.handled"]
    assert {line["level"] for line in found} <= {"info"}
    return [sum(line[name] for line in found) for name in COUNTS]


async def test_the_counts_of_a_worker_are_logged_when_it_ends(settings: Settings) -> None:
    deliveries, events, batches = counted(await lines_of_a_worker(settings, orders=3))
    assert (deliveries, events) == (4, 3)
    assert 1 <= batches <= 4


async def test_a_worker_without_work_logs_no_counts(settings: Settings) -> None:
    lines = await lines_of_a_worker(settings, orders=0)
    assert [line["event"] for line in lines] == ["worker.ready", "worker.stopped"]


async def test_no_line_is_about_a_single_delivery(settings: Settings) -> None:
    lines = await lines_of_a_worker(settings, orders=3)
    assert {line["event"] for line in lines} == {"worker.ready", "deliveries.handled", "worker.stopped"}


async def test_level_debug_shows_each_delivery(settings: Settings) -> None:
    lines = await lines_of_a_worker(settings, orders=3, log_level="debug")
    done = [line for line in lines if line["event"] == "reaction.done"]
    assert [line["key"] for line in done] == ["C-0", "C-1", "C-2"]
    assert all(line.items() >= {"level": "debug", "says": ["stock.reserve"]}.items() for line in done)
    (repeated,) = [line for line in lines if line["event"] == "delivery.repeated"]
    assert repeated["key"] == "C-0"


async def test_the_counts_are_logged_while_the_worker_works(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handled_count, "REPORT_SECONDS", 0.05)
    out = io.StringIO()
    configure_logs(settings, out)
    async with running_pipeline(settings) as run:
        for number in range(2):
            tag = run.session.deliver(order(f"C-{number}"))
            await until(lambda tag=tag: tag in run.session.acked)  # type: ignore[misc]
            await until(lambda number=number: out.getvalue().count("deliveries.handled") > number)  # type: ignore[misc]
        assert not run.running.done()
        await run.stop()
    assert counted([json.loads(line) for line in out.getvalue().splitlines()])[:2] == [2, 2]
