"""When an order began and how long it took, whatever the clients' clocks say."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.projection.aggregates import aggregates_of_all
from saga_monitor.reports import report
from saga_monitor.reports.timeline import timeline
from tests.saga_monitor.analysis.test_saga_state import heard
from tests.saga_monitor.conftest import SOON
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, PLACED, START, Line
from tests.support.order_saga import SAGAS, evaluate, order_with

if TYPE_CHECKING:
    from saga_monitor.analysis.saga_state import HeardEvent
    from tests.saga_monitor.conftest import Monitor
    from tests.saga_monitor.memory_stream import Stream


def with_offsets(*lines: Line) -> list[HeardEvent]:
    return [replace(event, offset=offset) for offset, event in enumerate(heard(*lines))]


@pytest.mark.parametrize("place", [0, 1, len(CONFIRMED)])
def test_a_second_order_with_an_old_clock_does_not_change_when_the_first_began(place: int) -> None:
    """The start event that stock answered counts, wherever it is in the stream."""
    lines = list(CONFIRMED)
    lines.insert(place, replace(PLACED[0], id="again", ms=-150_000_000_000))
    progress, alone = evaluate(with_offsets(*lines)), evaluate(heard(*CONFIRMED))
    assert (progress.started, progress.duration_ms) == (START, 350)
    assert progress.steps == alone.steps


def test_of_two_unanswered_start_events_the_first_in_the_stream_counts() -> None:
    again = replace(PLACED[0], id="again", ms=-60_000)
    assert evaluate(with_offsets(*PLACED, again)).started == START
    assert evaluate([*reversed(with_offsets(*PLACED, again))]).started == START


@pytest.mark.parametrize("ms", [-150_000_000_000, 150_000_000_000, 101])
def test_a_client_s_implausible_clock_changes_no_duration(ms: int) -> None:
    """When the start is days before the first answer, or after it, the first answer's time counts."""
    progress = evaluate(with_offsets(replace(PLACED[0], ms=ms), *CONFIRMED[1:]))
    assert (progress.started, progress.duration_ms) == (START + dt.timedelta(milliseconds=100), 250)
    assert progress.steps[0].duration_ms == (0 if ms == 101 else None)
    assert [step.duration_ms for step in progress.steps[1:]] == [200, 50, 50]


def test_a_repeated_event_keeps_its_first_position() -> None:
    first, *rest = with_offsets(*CONFIRMED)
    again = replace(first, offset=99, time=START - dt.timedelta(hours=1))
    expected = evaluate([first, *rest])
    assert evaluate([first, *rest, again]) == evaluate([again, *rest, first]) == expected


@pytest.mark.parametrize("ms", [-150_000_000_000, 150_000_000_000])
async def test_a_client_s_implausible_clock_does_not_decide_when_the_order_began(
    monitor: Monitor, stream: Stream, ms: int
) -> None:
    stream.publish("CMD-1", [replace(PLACED[0], ms=ms), *CONFIRMED[1:]])
    await monitor.read(stream)
    (placed,) = timeline(CHOREOGRAPHY, monitor.queries.events(order_with("CMD-1")), [], []).beginnings
    (held,) = placed.answers
    (paid,) = held.answers
    # Read so far from the truth, its time is none at all: nothing can be said of how long its answer took.
    assert (held.since_start_ms, held.took_ms) == (0, None)
    assert (paid.since_start_ms, paid.took_ms) == (200, 200)


async def test_a_forged_second_order_leaves_the_total_time_of_the_first(monitor: Monitor, stream: Stream) -> None:
    """Also when the order is evaluated again with more events."""
    stream.publish("CMD-1", HELD)
    stream.publish("CMD-1", [replace(PLACED[0], id="again", ms=-150_000_000_000)])
    await monitor.read(stream)
    stream.publish("CMD-1", CONFIRMED[2:])
    await monitor.read(stream)
    order = monitor.queries.instance(order_with("CMD-1"), SOON)
    assert order is not None
    assert (order.started, order.duration_ms) == (START, 350)


@pytest.mark.parametrize("skew", [3 * 86_400_000, -3 * 86_400_000, 5_000, -5_000])
@pytest.mark.parametrize("number", [1, 2])
def test_times_of_a_wrong_clock_are_not_measured_and_change_no_other_duration(number: int, skew: int) -> None:
    """Stock's or paiement's clock is ahead or behind: only the steps that it takes part in are left out."""
    lines = [replace(line, ms=line.ms + skew) if n == number else line for n, line in enumerate(CONFIRMED)]
    right, progress = evaluate(with_offsets(*CONFIRMED)), evaluate(with_offsets(*lines))
    spoilt = {number - 1, number}
    assert [step.duration_ms for step in progress.steps] == [
        None if n in spoilt else step.duration_ms for n, step in enumerate(right.steps)
    ]
    assert [step.left_out for step in progress.steps] == [n in spoilt for n in range(4)]
    assert (progress.state, progress.started, progress.duration_ms) == (right.state, START, 350)


async def test_the_report_counts_the_durations_that_a_wrong_clock_left_out(
    stream: Stream, monitor: Monitor
) -> None:
    lines = [replace(line, ms=line.ms - 7_200_000) if n == 2 else line for n, line in enumerate(CONFIRMED)]
    stream.publish("CMD-WRONG", lines)
    stream.publish("CMD-RIGHT", CONFIRMED)
    await monitor.read(stream)
    whole = report.whole(SAGAS, partial(aggregates_of_all, monitor.queries, SOON))
    assert whole["times_left_out"] == {"commande": 1, "paiement": 1}
    assert (whole["steps"]["paiement"]["count"], whole["steps"]["paiement"]["max_ms"]) == (1, 200)
    assert whole["duration_ms"]["count"] == 2
