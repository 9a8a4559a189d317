"""The console: its screen fits, its keys work, and hostile ids do nothing."""

from __future__ import annotations

import datetime as dt
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from textual.widgets import Static, Tree

from choregraphie.printable import printable
from saga_monitor.console.app import ConsoleApp
from saga_monitor.console.instance_row import cells, column_widths
from saga_monitor.console.lines import short
from saga_monitor.console.screens import InstanceScreen
from saga_monitor.console.snapshot import SPARKS, Rates, SnapshotReader
from saga_monitor.console.status import ConsoleStatus
from saga_monitor.diagnosis.anomalies import Anomaly, Kind
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, PAID, SCENARIOS, START, Stream, event_bytes
from tests.support.order_saga import SAGAS, order_with

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from textual.pilot import Pilot

    from tests.saga_monitor.conftest import Monitor

HOSTILE = ["[bold red]x[/]", "[/]", "\u061c2J\u200fgnp", "é" * 90, ":smile:", "日本" * 20, "a\u0301\u200b\ufeff"]
SIZES = [(80, 24), (120, 40), (200, 10), (40, 8)]


def console_app(monitor: Monitor, *anomalies: Anomaly) -> ConsoleApp:
    status = ConsoleStatus(anomalies=anomalies, judged_at=dt.datetime.now(dt.UTC))
    status.link("live")
    return ConsoleApp(SnapshotReader(monitor.queries), status)


@asynccontextmanager
async def on_terminal(app: ConsoleApp, width: int, height: int) -> AsyncIterator[Pilot[None]]:
    """The application on a terminal of that size, after its first redraw."""
    async with app.run_test(size=(width, height)) as pilot:
        await pilot.pause()
        await pilot.pause()
        yield pilot


def screen_of(app: ConsoleApp) -> list[str]:
    """The lines of the screen."""
    return ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()]


@pytest.mark.parametrize(("width", "height"), SIZES)
async def test_it_fits_its_terminal_whatever_it_shows(
    stream: Stream, monitor: Monitor, width: int, height: int
) -> None:
    for number in range(40):
        stream.publish(f"CMD-{number:04}", list(SCENARIOS.values())[number % len(SCENARIOS)][: 1 + number % 9])
    for name in HOSTILE:
        stream.publish(name, HELD)
    stream.set_aside("paiement", event_bytes("CMD-0003", HELD[1]))
    await monitor.read(stream)
    app = console_app(
        monitor, Anomaly(Kind.STUCK, *order_with("CMD-1"), "stock", START, "unresponsive", "a long sentence " * 20)
    )
    app.status.link("broker away", "connection refused " * 20)
    async with on_terminal(app, width, height):
        shown = screen_of(app)
        assert len(shown) == height
        assert {cell_len(line) for line in shown} == {width}
        assert "broker away" in shown[0]


async def test_it_tells_what_matters_at_80_by_24(stream: Stream, monitor: Monitor) -> None:
    for number, scenario in enumerate(SCENARIOS.values()):
        stream.publish(f"CMD-{number}", scenario)
    stream.publish("CMD-LATE", HELD)
    stream.publish("CMD-LOST", PAID)
    stream.set_aside("commande", event_bytes("CMD-LOST", PAID[2]), None)
    stream.publish("CMD-NOW", HELD, dt.datetime.now(dt.UTC))
    await monitor.read(stream)
    app = console_app(
        monitor,
        Anomaly(
            Kind.STUCK, *order_with("CMD-LATE"), "paiement", START, "unresponsive", "CMD-LATE waits for paiement"
        ),
    )
    async with on_terminal(app, 80, 24):
        shown = screen_of(app)
    assert "chorégraphie live · 3 in flight of 10 orders" in shown[0]
    assert "events/s" in shown[1]
    assert "orders/s" in shown[1]
    assert "NEW 0  RUNNING 3  FAILED 0  COMPLETED 1  COMPENSATING 0  COMPENSATED 6" in shown[2]
    assert "INTERVENTION 1  STUCK 2" in shown[3]
    assert "STUCK CMD-LATE waits for paiement" in shown[4]
    assert "all orders · 10 shown" in shown[5]
    assert [line.split()[0] for line in shown[7:10]] == ["CMD-LOST", "CMD-LATE", "CMD-NOW"]
    assert "✓✓…·" in shown[7]
    assert "INTERVENTION STUCK" in shown[7]
    assert "→ paiement.effectue +2" in shown[9]
    assert "q Quit" in shown[-1]


async def test_hostile_ids_are_shown_and_not_obeyed(stream: Stream, monitor: Monitor) -> None:
    for name in HOSTILE:
        stream.publish(name, HELD)
    await monitor.read(stream)
    app = console_app(
        monitor, Anomaly(Kind.STUCK, *order_with("[/]"), "stock", START, "unresponsive", "[red]x[/] \x1b[2J")
    )
    async with on_terminal(app, 200, 40) as pilot:
        shown = "".join(screen_of(app))
        for _ in HOSTILE:
            await pilot.press("enter")
            await pilot.pause()
            shown += "".join(screen_of(app))
            await pilot.press("escape", "down")
        await pilot.press("a")
        await pilot.pause()
        shown += "".join(screen_of(app))
    assert "[bold red]x[/]" in shown
    assert "[red]x[/] \\x1b[2J" in shown
    assert ":smile:" in shown
    assert not set(shown) & set("\u061c\u200f\u200b\ufeff\x1b")


async def test_an_empty_history_has_a_screen(monitor: Monitor) -> None:
    app = console_app(monitor)
    async with on_terminal(app, 80, 24) as pilot:
        await pilot.press("enter", "down", "f", "space", "a", "escape")
        await pilot.pause()
        assert "0 in flight of 0 orders" in screen_of(app)[0]


async def test_the_filter_goes_round_and_escape_leads_back(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-DONE", CONFIRMED)
    stream.publish("CMD-OPEN", HELD)
    await monitor.read(stream)
    app = console_app(monitor)
    async with on_terminal(app, 80, 24) as pilot:
        await pilot.press("f")
        assert app.snapshots.filter == "in flight"
        assert "in flight orders · 1 shown" in "".join(screen_of(app))
        await pilot.press(*["F"] * 10)
        assert app.snapshots.filter == "COMPENSATED"
        await pilot.press("escape")
        assert "all orders · 2 shown" in "".join(screen_of(app))


async def test_a_search_narrows_while_it_is_typed(stream: Stream, monitor: Monitor) -> None:
    for name in ("CMD-A1", "CMD-A2", "CMD-B1"):
        stream.publish(name, HELD)
    await monitor.read(stream)
    app = console_app(monitor)
    async with on_terminal(app, 80, 24) as pilot:
        await pilot.press("slash", *"CMD-A")
        assert "orders found by CMD-A · 2 shown" in "".join(screen_of(app))
        await pilot.press("enter", "down", "enter")
        await pilot.pause()
        assert isinstance(app.screen, InstanceScreen)
        assert "CMD-A1" in screen_of(app)[0]  # the order that began last comes first
        await pilot.press("escape", "escape")
        assert "all orders · 3 shown" in "".join(screen_of(app))


async def test_a_timeline_is_a_tree_of_causes_with_what_went_wrong(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-1", SCENARIOS["cancelled after creation"])
    stream.retry("paiement", event_bytes("CMD-1", HELD[1]))
    stream.set_aside("paiement", event_bytes("CMD-1", HELD[1]))
    await monitor.read(stream)
    app = console_app(monitor)
    async with on_terminal(app, 100, 30) as pilot:
        await pilot.press("enter")
        await pilot.pause()
        tree = app.screen.query_one(Tree)
        (beginning, demand) = tree.root.children
        assert "commande.initiee" in str(beginning.label)
        assert "commande.annulation_demandee" in str(demand.label)
        (held,) = beginning.children
        assert "stock.reserve  100 ms" in str(held.label)
        assert ["⟳" in str(leaf.label) or "☠" in str(leaf.label) for leaf in held.children] == [True, True, False]
        assert "undone in 50 ms" in str(app.screen.query_one("#times", Static).render())


async def test_a_pause_holds_the_picture_while_the_reading_goes_on(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-1", HELD)
    await monitor.read(stream)
    app = console_app(monitor)
    async with on_terminal(app, 80, 24) as pilot:
        await pilot.press("space")
        stream.publish("CMD-2", HELD)
        await monitor.read(stream)
        app.redraw()
        await pilot.pause()
        assert "PAUSED · 1 in flight of 1 orders" in screen_of(app)[0]
        await pilot.press("space")
        assert "live · 2 in flight of 2 orders" in screen_of(app)[0]


async def test_the_chosen_order_stays_chosen_when_others_come(stream: Stream, monitor: Monitor) -> None:
    for name in ("CMD-1", "CMD-2", "CMD-3"):
        stream.publish(name, CONFIRMED)
    await monitor.read(stream)
    app = console_app(monitor)
    async with on_terminal(app, 80, 24) as pilot:
        await pilot.press("down")
        stream.publish("CMD-4", CONFIRMED)
        await monitor.read(stream)
        app.redraw()
        await pilot.pause()
        assert app.table.cursor_row == 2
        await pilot.press("enter")
        await pilot.pause()
        assert "CMD-2" in screen_of(app)[0]


async def test_it_follows_the_size_of_its_terminal(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-1", HELD)
    await monitor.read(stream)
    app = console_app(monitor)
    async with on_terminal(app, 120, 30) as pilot:
        for width, height in SIZES:
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            assert {cell_len(line) for line in screen_of(app)} == {width}


@pytest.mark.parametrize("width", [40, 80, 200])
async def test_a_row_keeps_to_its_columns(stream: Stream, monitor: Monitor, width: int) -> None:
    for name in HOSTILE:
        stream.publish(name, HELD)
    await monitor.read(stream)
    now = START + dt.timedelta(days=400)
    for order in monitor.queries.instances(None, 20, now):
        row = cells(order, now, width, SAGAS)
        for cell, columns in zip(row[2:], list(column_widths(width, SAGAS).values())[2:], strict=True):
            assert cell.cell_len <= columns


def test_on_80_columns_an_id_of_our_own_script_and_the_longest_event_are_whole() -> None:
    widths = column_widths(79, SAGAS)
    assert widths["order"] >= len("CMD-65B0CCC543E14A4E")
    assert widths["waits for"] >= len("→ notification.envoyee")


def test_a_rate_is_of_the_last_seconds_and_its_bars_of_each() -> None:
    rates = Rates()
    assert rates.per_second(100, 0) == 0
    assert rates.per_second(150, 10) == 5
    assert rates.per_second(150, 25) == 0
    assert rates.sparkline() == "▁" * (SPARKS - 2) + "█▁"


def test_a_count_stays_short() -> None:
    assert [short(n) for n in (0, 99_999, 250_000, 1_250_000)] == ["0", "99,999", "250k", "1.2M"]


def test_what_has_no_glyph_is_written_out() -> None:
    assert printable("é日\x1b[2J\n\x85\u202e\ud800") == r"é日\x1b[2J\n\x85\u202e\ud800"
