"""How long an answer may take before its order is stuck: the usual time of the step, within bounds."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from saga_monitor.diagnosis.anomalies import Kind
from saga_monitor.diagnosis.grouping import within_usual_time
from saga_monitor.diagnosis.pending import ENOUGH_MEASURES
from saga_monitor.text.anomaly_list import anomaly_view
from tests.saga_monitor.conftest import Monitor
from tests.saga_monitor.diagnosis.test_anomalies import TERMS, broker, wrong
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, PLACED, START, Line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.saga_monitor.memory_stream import Stream


def paid_after(stream: Stream, seconds: int, count: int) -> None:
    """So many orders of the day before, with payments of that duration."""
    # Later events are shifted too: an answer dated before its cause would show a wrong clock.
    late = [replace(line, ms=line.ms + seconds * 1000) for line in CONFIRMED[3:]]
    for number in range(count):
        slow = [*HELD, Line("paiement.effectue", "stock.reserve", 100 + seconds * 1000), *late]
        stream.publish(f"CMD-{seconds}-{number}", slow, START - dt.timedelta(days=3))


async def stuck(monitor: Monitor, stream: Stream, after_seconds: int) -> set[str | None]:
    found = await wrong(monitor, stream, broker(), START + dt.timedelta(seconds=after_seconds))
    return {anomaly.key for anomaly in found if anomaly.kind == Kind.STUCK}


async def test_a_slow_step_is_given_the_time_that_it_takes(monitor: Monitor, stream: Stream) -> None:
    paid_after(stream, 200, ENOUGH_MEASURES)
    stream.publish("SLOW", HELD)
    stream.publish("FAST", PLACED)
    assert await stuck(monitor, stream, 100) == {"FAST"}
    now = START + dt.timedelta(seconds=100)
    found = await wrong(monitor, stream, broker(), now)
    in_time = within_usual_time(monitor.queries.totals(now).stuck, found, now, TERMS.stuck_after)
    with (console := Console(width=200)).capture() as shown:
        console.print(anomaly_view(found, monitor.queries.sagas, in_time, full=True))
    assert "1 more STUCK, within the time that their step usually takes" in shown.get().splitlines()[-1]
    assert await stuck(monitor, stream, 400) == {"FAST", "SLOW"}


async def test_one_outlier_among_few_or_many_mutes_nothing(
    monitor: Monitor, stream: Stream, tmp_path: Path
) -> None:
    paid_after(stream, 80_000, 1)
    paid_after(stream, 1, 30)
    stream.publish("WAITS", HELD)
    assert await stuck(monitor, stream, 100) == {"WAITS"}
    paid_after(stream, 2, ENOUGH_MEASURES)
    anew = Monitor(tmp_path / "anew.sqlite3")  # said now, orders of days ago would be those of a wrong clock
    assert await stuck(anew, stream, 100) == {"WAITS"}
    anew.close()


async def test_an_outage_in_the_measures_mutes_nothing_for_ever(monitor: Monitor, stream: Stream) -> None:
    """Every payment took most of a day; a silence is still shown after ten times the minimum."""
    paid_after(stream, 80_000, ENOUGH_MEASURES)
    stream.publish("WAITS", HELD)
    assert await stuck(monitor, stream, 590) == set()
    assert await stuck(monitor, stream, 610) == {"WAITS"}
