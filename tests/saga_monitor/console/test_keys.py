"""The keys of the console: selecting, moving, sorting, copying, opening anomalies."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from textual.events import Key

from choregraphie.saga.topology import DETAIL_HEADER, REASON_HEADER, dlx
from saga_monitor.console.overlays import TextScreen
from saga_monitor.console.screens import InstanceScreen
from saga_monitor.diagnosis.anomalies import Anomaly, Kind
from tests.saga_monitor.console.test_app import console_app, on_terminal, screen_of
from tests.saga_monitor.console.test_terminal import terminal
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, SCENARIOS, START, Stream, event_bytes
from tests.saga_monitor.test_live import channel, environment, publish
from tests.support.order_saga import SAGAS, order_with

if TYPE_CHECKING:
    from saga_monitor.console.app import ConsoleApp
    from tests.saga_monitor.conftest import Monitor

__all__ = ["channel", "environment"]


(SAGA,) = SAGAS.by_name


def listed(app: ConsoleApp) -> list[str]:
    return [str(app.table.get_row_at(row)[0]) for row in range(app.table.row_count)]


async def many(stream: Stream, monitor: Monitor) -> None:
    for number in range(60):
        stream.publish(f"CMD-{number:02}", CONFIRMED, START + dt.timedelta(seconds=number))
    for number in range(3):
        stream.publish(f"CMD-STOCK-{number}", HELD, START + dt.timedelta(hours=1, seconds=number))
    await monitor.read(stream)


@pytest.mark.parametrize("before", [["pagedown"], ["G"], ["end"], ["down", "j"], ["s", "pagedown"], ["f", "down"]])
async def test_a_search_begins_at_its_first_match(stream: Stream, monitor: Monitor, before: list[str]) -> None:
    await many(stream, monitor)
    app = console_app(monitor)
    async with on_terminal(app, 80, 24) as pilot:
        await pilot.press(*before, "slash", *"cmd-st")
        first = listed(app)[0]
        await pilot.press("enter", "enter")
        await pilot.pause()
        assert isinstance(app.screen, InstanceScreen)
        assert first in screen_of(app)[0]
        assert first.startswith("CMD-STOCK-")


async def test_keys_move_as_people_expect(stream: Stream, monitor: Monitor) -> None:
    await many(stream, monitor)
    app = console_app(monitor)
    async with on_terminal(app, 80, 24) as pilot:
        places = []
        for key in ("j", "j", "k", "G", "k", "g", "end", "home"):
            await pilot.press(key)
            places.append(app.table.cursor_row)
    assert places == [1, 2, 1, 62, 61, 0, 62, 0]


async def test_what_was_chosen_stays_chosen_while_orders_come(stream: Stream, monitor: Monitor) -> None:
    await many(stream, monitor)
    app = console_app(monitor)
    async with on_terminal(app, 80, 24) as pilot:
        await pilot.press("down", "up")
        chosen = app.table.chosen()
        stream.publish("CMD-NEW", HELD, dt.datetime.now(dt.UTC))
        stream.set_aside("paiement", event_bytes("CMD-NEW", HELD[1]))
        await monitor.read(stream)
        app.redraw()
        assert app.table.cursor_row == 1
        assert app.table.chosen() == chosen
        await pilot.press("g")
        assert app.table.chosen() == order_with("CMD-NEW")


async def test_escape_clears_search_sorting_and_filter(stream: Stream, monitor: Monitor) -> None:
    await many(stream, monitor)
    app = console_app(monitor)
    async with on_terminal(app, 100, 24) as pilot:
        await pilot.press("f", "s", "slash", *"CMD-1", "escape")
        assert "all orders · 63 shown " in "".join(screen_of(app))
        await pilot.press("slash", *"CMD-1", "enter", "escape")
        assert "all orders · 63 shown " in "".join(screen_of(app))


@pytest.mark.parametrize(
    ("presses", "filtered", "found"),
    [
        (1, "in flight", 3),
        (2, "needs attention", 3),
        (3, "NEW", 0),
        (4, "RUNNING", 3),
        (9, "UNKNOWN", 0),
        (12, "STUCK", 3),
    ],
)
async def test_a_filter_keeps_the_search(
    stream: Stream, monitor: Monitor, presses: int, filtered: str, found: int
) -> None:
    await many(stream, monitor)
    stream.publish("CMD-SILENT", HELD)
    await monitor.read(stream)
    app = console_app(monitor)
    async with on_terminal(app, 100, 24) as pilot:
        await pilot.press("slash", *"stock", "enter", *["f"] * presses)
        assert f"{filtered} orders found by stock · {found} shown" in "".join(screen_of(app))
        assert all("CMD-STOCK" in row for row in listed(app))
        await pilot.press(*["F"] * presses)
        assert "orders found by stock · 3 shown" in "".join(screen_of(app))


@pytest.mark.parametrize(
    ("keys", "search", "row"),
    [
        (["enter", "j", "j"], "cmd-0", 2),
        (["enter", "G"], "cmd-0", 9),
        (["enter", "s", "down"], "cmd-0", 1),
        (["escape", "j"], "", 1),
    ],
)
async def test_keys_right_after_the_search_are_the_tables(
    stream: Stream, monitor: Monitor, keys: list[str], search: str, row: int
) -> None:
    await many(stream, monitor)
    app = console_app(monitor)
    async with on_terminal(app, 80, 24) as pilot:
        # All at once, as a terminal delivers what was typed while the program was busy.
        await pilot.press("slash")
        for key in (*"cmd-0", *keys):
            app.post_message(Key("minus" if key == "-" else key, key if len(key) == 1 else None))
        await pilot.pause()
        assert app.snapshots.search == search
        assert app.table.cursor_row == row
        assert app.focused is app.table


async def test_of_very_many_orders_the_table_says_what_it_sorts(stream: Stream, monitor: Monitor) -> None:
    for number in range(301):
        stream.publish(f"CMD-{number:03}", CONFIRMED[:1], START)
    await monitor.read(stream)
    app = console_app(monitor)
    async with on_terminal(app, 80, 24) as pilot:
        assert "all orders · the first 300 shown " in "".join(screen_of(app))
        await pilot.press("s")
        assert "all orders · the first 300 shown · by order ▲ (of these) " in "".join(screen_of(app))
        await pilot.press("slash", *"cmd-00")
        assert "orders found by cmd-00 · 10 shown · by order ▲ " in "".join(screen_of(app))


async def test_the_table_is_sorted_by_each_column_both_ways(stream: Stream, monitor: Monitor) -> None:
    for name, lines in (("b", SCENARIOS["created"]), ("A", SCENARIOS["refused by stock"]), ("c", HELD)):
        stream.publish(name, lines)
    await monitor.read(stream)
    app = console_app(monitor)
    async with on_terminal(app, 100, 24) as pilot:
        assert listed(app)[0] == "c"
        found = {}
        for _ in range(4):
            await pilot.press("s")
            column = app.snapshots.sorting.column
            found[column] = listed(app)
            await pilot.press("S")
            assert listed(app) == found[column][::-1]
            await pilot.press("S")
        assert found["key"] == ["A", "b", "c"]
        assert found["state"] == ["c", "b", "A"]
        assert found["elapsed"] == ["b", "A", "c"]
        assert found["last heard"] == ["b", "A", "c"]
        assert "by last heard ▲" in "".join(screen_of(app))
        await pilot.press("s")
        assert app.snapshots.sorting.column is None


async def test_the_help_names_every_key(monitor: Monitor) -> None:
    app = console_app(monitor)
    async with on_terminal(app, 100, 30) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        shown = " ".join(screen_of(app))
    for key in ("j k", "PgUp PgDn", "g Home", "G End", "⏎", "f F", "/", "s S", "y ", "a ", "space", "esc", "q "):
        assert key in shown, key


def refused(stream: Stream, body: bytes) -> int:
    stream.add(body, dlx("stock"), {REASON_HEADER: "invalid", DETAIL_HEADER: "data.montant: greater_than"}, START)
    return stream.next - 1


@pytest.mark.parametrize("key", ["CMD-MINUS", "[red]x[/]", None])
async def test_an_anomaly_without_an_order_opens_its_message(
    stream: Stream, monitor: Monitor, key: str | None
) -> None:
    body = json.dumps(
        {"id": "e-1", "type": "commande.initiee", "data": {"commande_id": key, "montant": -5}}
    ).encode()
    offset = refused(stream, body)
    await monitor.read(stream)
    one = Anomaly(Kind.DEAD_LETTER, SAGA, key, "stock", START, "invalid", "it was set aside", letter=offset)
    app = console_app(monitor, one)
    async with on_terminal(app, 100, 40) as pilot:
        await pilot.press("a", "enter")
        await pilot.pause()
        assert isinstance(app.screen, TextScreen)
        shown = "\n".join(screen_of(app))
        assert "it is not valid" in shown
        assert '"montant": -5' in shown
        assert str(key or "none can be read") in shown
        await pilot.press("escape")
        await pilot.pause()
        assert "1 anomaly" in "".join(screen_of(app)) or "DEAD" in "".join(screen_of(app))


@pytest.mark.parametrize("key", ["CMD-1", None])
async def test_an_anomaly_opens_its_order_or_says_itself(
    stream: Stream, monitor: Monitor, key: str | None
) -> None:
    stream.publish("CMD-1", HELD)
    await monitor.read(stream)
    app = console_app(
        monitor, Anomaly(Kind.CLOCK_SKEW, SAGA, key, "stock", START, "against_client", "the clocks differ")
    )
    async with on_terminal(app, 100, 40) as pilot:
        await pilot.press("a", "enter")
        await pilot.pause()
        assert isinstance(app.screen, InstanceScreen if key else TextScreen)
        assert ("CMD-1" if key else "the clocks differ") in "\n".join(screen_of(app))


async def test_a_dead_letter_of_an_order_opens_from_its_timeline(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-1", HELD)
    stream.set_aside("paiement", event_bytes("CMD-1", HELD[1]))
    await monitor.read(stream)
    app = console_app(monitor)
    async with on_terminal(app, 100, 40) as pilot:
        await pilot.press("enter", "G", "enter")
        await pilot.pause()
        assert isinstance(app.screen, TextScreen)
        assert "paiement set stock.reserve aside" in "\n".join(screen_of(app))


def test_in_a_real_terminal(environment: dict[str, str], channel: Any) -> None:
    for number in range(30):
        publish(channel, f"CMD-{number:02}", CONFIRMED)
    for number in range(3):
        publish(channel, f"CMD-STOCK-{number}", HELD)
    with terminal(environment) as window:
        window._run("set", "-g", "set-clipboard", "on")
        window.run()
        window.awaits("live · 3 in flight of 33 orders")
        window.press("PageDown")
        window.press("/")
        window.type("cmd-st")
        window.awaits("orders found by cmd-st · 3 shown")
        window.press("Enter")
        window.press("Enter")
        window.awaits("live  CMD-STOCK-2", "stock.reserve")
        window.press("y")
        window.awaits("copied CMD-STOCK-2")
        assert window._run("show-buffer") == "CMD-STOCK-2"
        window.press("Escape")
        window.awaits("orders found by cmd-st · 3 shown")
        window.press("Escape")
        window.awaits("all orders · 33 shown")
        window.press("s")
        window.awaits("all orders · 33 shown · by order ▲")
        window.press("G")
        window.press("Enter")
        window.awaits("live  CMD-STOCK-2")
        window.press("q")
        window.press("q")
        window.awaits("left with 0")
