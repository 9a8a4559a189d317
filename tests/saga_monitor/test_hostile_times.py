"""No time that an entry gives keeps the monitor from reading and judging, wherever the entry gives it."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from choregraphie.saga.envelope import Instance
from choregraphie.saga.topology import (
    HOLD_HEADER,
    HOLD_KEY,
    NEXT_HEADER,
    OUTSIDE_HEADER,
    SINCE_HEADER,
    UNTIL_HEADER,
    events,
    retry,
)
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.diagnosis.anomalies import Thresholds, anomalies_of, anomalies_of_instance
from saga_monitor.projection.aggregates import aggregates_of_all
from saga_monitor.records.broker_status import read_broker_status
from saga_monitor.reports.report import detail, whole
from tests.saga_monitor.conftest import Monitor
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, KNOWN, START, Line, Stream, event_bytes
from tests.support.order_saga import COMMAND, SAGAS

if TYPE_CHECKING:
    pass

TERMS = Thresholds(60, 3, command=COMMAND)
NOW = START + dt.timedelta(minutes=10)
FIRST, LAST = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"
ENDS = [
    FIRST,
    "0001-01-01T00:00:00.001Z",
    "0001-12-31T12:00:00Z",
    "1600-02-29T00:00:00Z",
    "9998-12-31T12:00:00Z",
    LAST,
]
TIMES = st.sampled_from(ENDS) | st.datetimes(timezones=st.just(dt.UTC)).map(lambda time: time.isoformat())
STAMPS = st.none() | st.datetimes(min_value=dt.datetime(1970, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001 - Hypothesis wants it so


def say(stream: Stream, key: str, line: Line, time: str, stamp: dt.datetime | None = None) -> None:
    """Adds an event that says `time` itself, and has `stamp` among its properties."""
    envelope = json.loads(event_bytes(key, line)) | {"time": time}
    stream.add(json.dumps(envelope).encode(), events(KNOWN[line.type].SAID_BY), {}, stamp)


def hold(stream: Stream, since: str, until: str, again: str, stamp: dt.datetime | None) -> None:
    headers = {SINCE_HEADER: since, UNTIL_HEADER: until, NEXT_HEADER: again}
    headers |= {OUTSIDE_HEADER: "the card gateway", HOLD_HEADER: "open"}
    stream.add(b"", retry("paiement"), headers, stamp, HOLD_KEY)


async def judge(monitor: Monitor, stream: Stream) -> None:
    """Reads the stream, and asks for all that the monitor says."""
    await monitor.read(stream)
    status = await read_broker_status(stream, SAGAS)
    for now in (NOW, dt.datetime.now(dt.UTC)):
        anomalies = anomalies_of(monitor.queries, status, now, TERMS)
        whole(SAGAS, partial(aggregates_of_all, monitor.queries, now), anomalies)
        for one in monitor.queries.instances(None, 100, now):
            anomalies_of_instance(monitor.queries, one.instance, status, now, TERMS)
            detail(one, SAGAS, list(monitor.queries.events(one.instance)), [])


@pytest.mark.parametrize("time", ENDS)
async def test_one_event_at_an_end_of_the_calendar(monitor: Monitor, stream: Stream, time: str) -> None:
    """The services handle it; the monitor could not read on, and deleting its file did not help."""
    say(stream, "CMD-1", CONFIRMED[0], time)
    for line in CONFIRMED[1:]:
        stream.publish("CMD-1", [line])
    await judge(monitor, stream)
    found = monitor.queries.instance(Instance("commande", "CMD-1"), NOW)
    assert found is not None
    assert found.state is State.COMPLETED


@pytest.mark.parametrize("again", ENDS)
@pytest.mark.parametrize("stamp", [None, START, dt.datetime(9998, 1, 1, tzinfo=dt.UTC)])
async def test_a_hold_whose_next_notice_is_due_at_an_end_of_the_calendar(
    monitor: Monitor, stream: Stream, again: str, stamp: dt.datetime | None
) -> None:
    stream.publish("WAITS", HELD)
    hold(stream, FIRST, LAST, again, stamp)
    await judge(monitor, stream)


async def test_a_hold_lasts_no_longer_than_a_day_without_a_notice(monitor: Monitor, stream: Stream) -> None:
    stream.publish("WAITS", HELD)
    hold(stream, START.isoformat(), LAST, "2999-01-01T00:00:00Z", START)
    await monitor.read(stream)
    for days, flag in ((0.9, Flag.HELD), (1.1, Flag.STUCK)):
        found = monitor.queries.instance(Instance("commande", "WAITS"), START + dt.timedelta(days=days))
        assert found is not None
        assert found.flags == (flag,)


async def test_a_first_entry_from_the_future_tells_nothing_of_how_long_the_stream_keeps(
    monitor: Monitor, stream: Stream
) -> None:
    stream.publish("CMD-1", CONFIRMED)
    stream.set_aside("stock", b"first", "unreadable")
    stream.kept[-1] = replace(stream.kept[-1], timestamp=dt.datetime(2099, 1, 1, tzinfo=dt.UTC))
    await monitor.read(stream)
    stream.trim(len(CONFIRMED))
    status = await read_broker_status(stream, SAGAS)
    assert status.first_at is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=st.lists(st.tuples(TIMES, STAMPS), min_size=5, max_size=5), held=st.tuples(TIMES, TIMES, TIMES, STAMPS)
)
async def test_any_times(
    said: list[tuple[str, dt.datetime | None]],
    held: tuple[str, str, str, dt.datetime | None],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    stream, folder = Stream(), tmp_path_factory.mktemp("times")
    monitor = Monitor(folder / "live.sqlite3")
    try:
        for line, (time, stamp) in zip(CONFIRMED, said, strict=True):
            say(stream, "CMD-1", line, time, stamp)
        stream.publish("WAITS", HELD)
        hold(stream, *held)
        await judge(monitor, stream)
    finally:
        monitor.close()
