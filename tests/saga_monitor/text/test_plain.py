"""The monitor on a pipe prints one line per change of an order, and none twice."""

from __future__ import annotations

import datetime as dt
import io
from typing import TYPE_CHECKING

from saga_monitor.stream.follower import read
from saga_monitor.text.plain import ChangeLines
from tests.saga_monitor.conftest import SOON, STUCK_AFTER, Monitor
from tests.saga_monitor.memory_stream import CONFIRMED, PLACED, START, Stream

if TYPE_CHECKING:
    from collections.abc import Sequence


class Piped:
    def __init__(self, monitor: Monitor) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        self.lines = ChangeLines(monitor.queries, self.out, self.err)

    async def read(self, stream: Stream, monitor: Monitor) -> None:
        async for touched in read(stream, monitor.store, self.lines):
            if touched is None:
                return

    @property
    def told(self) -> Sequence[Sequence[str]]:
        return [line.split("\t") for line in self.out.getvalue().splitlines()]


async def test_a_pipe_gets_one_line_per_change(stream: Stream, monitor: Monitor) -> None:
    """Also when all events of an order come in one batch."""
    piped = Piped(monitor)
    stream.publish("CMD-1", CONFIRMED)
    await piped.read(stream, monitor)
    assert [line[1:4] for line in piped.told] == [
        ["CMD-1", "NEW", "commande.initiee"],
        ["CMD-1", "RUNNING", "stock.reserve"],
        ["CMD-1", "RUNNING", "paiement.effectue"],
        ["CMD-1", "COMPLETED", "commande.creee"],
        ["CMD-1", "COMPLETED", "notification.envoyee"],
    ]
    assert {line[4] for line in piped.told} == {"-"}
    assert piped.told[1][0] == "2024-11-22T18:47:00.100Z"


async def test_a_pipe_says_nothing_twice(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-1", PLACED)
    await monitor.read(stream)
    piped = Piped(monitor)
    piped.lines.show_changes(SOON)
    assert piped.told == []
    stream.publish("CMD-2", PLACED)
    await monitor.read(stream)
    piped.lines.show_changes(SOON)
    piped.lines.show_changes(SOON)
    assert [line[1] for line in piped.told] == ["CMD-2"]


async def test_silence_is_a_change_told_once(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-1", PLACED)
    await monitor.read(stream)
    piped = Piped(monitor)
    for seconds in (59, 61, 62, 600):
        piped.lines.show_stuck(START + dt.timedelta(seconds=seconds), STUCK_AFTER)
    assert [line[4] for line in piped.told] == ["STUCK"]


async def test_a_pipe_goes_on_with_another_stream(stream: Stream, monitor: Monitor) -> None:
    piped = Piped(monitor)
    stream.publish("OLD", CONFIRMED)
    await piped.read(stream, monitor)
    stream.recreate()
    stream.publish("NEW", PLACED)
    await piped.read(stream, monitor)
    assert piped.told[-1][1] == "NEW"
    assert "starting again" in piped.err.getvalue()


async def test_a_hostile_id_stays_on_its_line(stream: Stream, monitor: Monitor) -> None:
    piped = Piped(monitor)
    stream.publish("a\u200bb\u200fc", PLACED)
    await piped.read(stream, monitor)
    assert piped.told[0][1] == r"a\u200bb\u200fc"


async def test_a_backlog_is_not_called_stuck_before_it_is_read(stream: Stream, monitor: Monitor) -> None:
    """Also when the file was current in an earlier run."""
    stream.publish("CMD-1", PLACED)
    await monitor.read(stream)
    piped, now = Piped(monitor), dt.datetime.now(dt.UTC)
    piped.lines.show_news(now, STUCK_AFTER)
    piped.lines.link("reading")
    piped.lines.show_news(dt.datetime.now(dt.UTC), STUCK_AFTER)
    assert piped.told == []
    now = dt.datetime.now(dt.UTC)
    monitor.store.caught_up(now)
    piped.lines.show_news(now, STUCK_AFTER)
    piped.lines.show_news(now, STUCK_AFTER)
    assert [line[1:] for line in piped.told] == [["CMD-1", "NEW", "commande.initiee", "STUCK"]]


def test_beside_a_writer_its_silence_is_said_once_and_its_return_too(monitor: Monitor) -> None:
    piped, now = Piped(monitor), dt.datetime.now(dt.UTC)
    for caught_up_at in (now, START, START, now, now):
        piped.lines.link("following", "another monitor writes this file")
        monitor.store.caught_up(caught_up_at)
        piped.lines.show_news(now, STUCK_AFTER)
    assert piped.err.getvalue().splitlines() == [
        "saga_monitor: following: another monitor writes this file",
        "saga_monitor: following: the monitor that writes this file has not caught up since"
        " 2024-11-22 18:47:00 UTC: its broker may be away",
        "saga_monitor: following: another monitor writes this file",
    ]
