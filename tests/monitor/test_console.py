"""What the live monitor shows: a screen that fits, lines on a pipe, and nothing that a hostile id commands."""

from __future__ import annotations

import datetime as dt
import io
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from rich.console import Console

from saga_monitor.console import Rates, Screen, short
from saga_monitor.history import read
from saga_monitor.lines import Lines
from saga_monitor.printable import printable
from tests.monitor.conftest import SOON, STUCK_AFTER, Monitor
from tests.monitor.stage import CONFIRMED, HELD, PAID, PLACED, START, STORIES, Stream, said

if TYPE_CHECKING:
    from collections.abc import Sequence

HOSTILE = ["[bold red]x[/]", "[/]", "\x9b2J\u202egnp", "é" * 90, ":smile:", "日本" * 20, "a\u0301\u200b\u2028"]


def drawn(screen: Screen, width: int, height: int, now: dt.datetime = SOON, *, color: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=width, height=height, force_terminal=color, no_color=not color, emoji=False
    )
    console.print(screen.picture(width, height, now))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 10), (40, 8)])
async def test_a_picture_fits_its_terminal(stream: Stream, monitor: Monitor, width: int, height: int) -> None:
    for number in range(100):
        stream.tell(f"CMD-{number:04}", list(STORIES.values())[number % len(STORIES)][: 1 + number % 9])
    for name in HOSTILE:
        stream.tell(name, HELD)
    stream.set_aside("paiement", said("CMD-0003", HELD[1]))
    await monitor.hear(stream)
    screen = Screen(monitor.queries)
    screen.link("broker away", "connection refused " * 20)
    lines = drawn(screen, width, height).rstrip("\n").split("\n")
    assert len(lines) <= height
    assert max(cell_len(line) for line in lines) <= width


async def test_a_picture_tells_what_matters_at_80_by_24(stream: Stream, monitor: Monitor) -> None:
    for number, story in enumerate(STORIES.values()):
        stream.tell(f"CMD-{number}", story)
    stream.tell("CMD-LATE", HELD)
    stream.tell("CMD-LOST", PAID)
    stream.set_aside("commande", said("CMD-LOST", PAID[2]), None)
    stream.tell("CMD-NOW", PLACED, START + dt.timedelta(seconds=100))
    await monitor.hear(stream)
    screen = Screen(monitor.queries)
    screen.link("live")
    lines = drawn(screen, 80, 24, START + dt.timedelta(seconds=102)).split("\n")
    assert "live · 3 in flight of 10 orders" in lines[0]
    assert "NEW 1  RUNNING 2  FAILED 0  COMPLETED 1  COMPENSATING 0  COMPENSATED 6" in lines[1]
    assert "STUCK 2  INTERVENTION 1" in lines[2]
    assert [line.split()[0] for line in lines[5:8]] == ["CMD-LOST", "CMD-LATE", "CMD-NOW"]
    assert "✓✓…·" in lines[5]
    assert "INTERVENTION+1" in lines[5]
    assert "stock, paiement, commande, notification" in lines[-3]
    assert "↩ undone" in lines[-2]


async def test_hostile_ids_are_shown_and_not_obeyed(stream: Stream, monitor: Monitor) -> None:
    for name in HOSTILE:
        stream.tell(name, HELD)
    await monitor.hear(stream)
    shown = drawn(Screen(monitor.queries), 200, 40)
    assert "[bold red]x[/]" in shown
    assert ":smile:" in shown
    assert not set(shown) & set("\x9b\u202e\u200b\u2028\x1b")


async def test_no_colour_when_none_is_wanted(
    stream: Stream, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.tell("CMD-1", HELD)
    await monitor.hear(stream)
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    console.print(Screen(monitor.queries).picture(80, 24, SOON))
    assert "\x1b[3" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_an_empty_history_has_a_picture(monitor: Monitor) -> None:
    assert "no order yet" in drawn(Screen(monitor.queries), 80, 24)


def test_the_screen_says_that_the_broker_is_away(monitor: Monitor) -> None:
    screen = Screen(monitor.queries)
    screen.link("broker away", "connection refused; next try in 2 s")
    screen.notice("the stream is another")
    shown = drawn(screen, 80, 24)
    assert "broker away" in shown
    assert "next try in 2 s · the stream is another" in shown


def test_a_rate_is_of_the_last_seconds() -> None:
    rates = Rates()
    assert rates.per_second(100, 0) == 0
    assert rates.per_second(150, 10) == 5
    assert rates.per_second(150, 25) == 0


def test_a_count_stays_short() -> None:
    assert [short(n) for n in (0, 99_999, 250_000, 1_250_000)] == ["0", "99999", "250k", "1.2M"]


def test_what_has_no_glyph_is_written_out() -> None:
    assert printable("é日\x1b[2J\n\x85\u202e\ud800") == r"é日\x1b[2J\n\x85\u202e\ud800"


class Piped:
    def __init__(self, monitor: Monitor) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        self.lines = Lines(monitor.queries, self.out, self.err)

    async def hear(self, stream: Stream, monitor: Monitor) -> None:
        async for touched in read(stream, monitor.store, self.lines):
            if touched is None:
                return

    @property
    def told(self) -> Sequence[Sequence[str]]:
        return [line.split("\t") for line in self.out.getvalue().splitlines()]


async def test_a_pipe_gets_one_line_per_change(stream: Stream, monitor: Monitor) -> None:
    """Even when all of an order's events come in one batch."""
    piped = Piped(monitor)
    stream.tell("CMD-1", CONFIRMED)
    await piped.hear(stream, monitor)
    assert [line[1:4] for line in piped.told] == [
        ["CMD-1", "NEW", "commande.initiee"],
        ["CMD-1", "RUNNING", "stock.reserve"],
        ["CMD-1", "RUNNING", "paiement.effectue"],
        ["CMD-1", "COMPLETED", "commande.creee"],
        ["CMD-1", "COMPLETED", "notification.envoyee"],
    ]
    assert [line[4] for line in piped.told] == ["STUCK", "STUCK", "STUCK", "STUCK", "-"]
    assert piped.told[1][0] == "2024-11-22T18:47:00.100Z"


async def test_a_pipe_says_nothing_twice(stream: Stream, monitor: Monitor) -> None:
    stream.tell("CMD-1", PLACED)
    await monitor.hear(stream)
    piped = Piped(monitor)
    piped.lines.show_changes(SOON)
    assert piped.told == []
    stream.tell("CMD-2", PLACED)
    await monitor.hear(stream)
    piped.lines.show_changes(SOON)
    piped.lines.show_changes(SOON)
    assert [line[1] for line in piped.told] == ["CMD-2"]


async def test_silence_is_a_change_told_once(stream: Stream, monitor: Monitor) -> None:
    stream.tell("CMD-1", PLACED)
    await monitor.hear(stream)
    piped = Piped(monitor)
    for seconds in (59, 61, 62, 600):
        piped.lines.show_stuck(START + dt.timedelta(seconds=seconds), STUCK_AFTER)
    assert [line[4] for line in piped.told] == ["STUCK"]


async def test_a_pipe_goes_on_with_another_stream(stream: Stream, monitor: Monitor) -> None:
    piped = Piped(monitor)
    stream.tell("OLD", CONFIRMED)
    await piped.hear(stream, monitor)
    stream.recreate()
    stream.tell("NEW", PLACED)
    await piped.hear(stream, monitor)
    assert piped.told[-1][1] == "NEW"
    assert "starting again" in piped.err.getvalue()


async def test_a_hostile_id_stays_on_its_line(stream: Stream, monitor: Monitor) -> None:
    piped = Piped(monitor)
    stream.tell("a\u2028b\x85c", PLACED)
    await piped.hear(stream, monitor)
    assert piped.told[0][1] == r"a\u2028b\x85c"
