"""The connection state on every screen of the console, and anomalies as they come and go."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from choregraphie import DatabaseRefused
from saga_monitor.analysis.messages import Retry
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.console.instance_row import column_widths
from saga_monitor.console.rendering import problems, states
from saga_monitor.console.screens import AnomaliesScreen, InstanceScreen
from saga_monitor.console.timeline_text import retry_text
from saga_monitor.diagnosis.anomalies import Anomaly, Kind
from saga_monitor.projection.models import Totals
from tests.saga_monitor.console.test_app import console_app, on_terminal, screen_of
from tests.saga_monitor.memory_stream import HELD, START, Stream
from tests.support.order_saga import SAGAS, order_with

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from saga_monitor.console.app import ConsoleApp
    from tests.saga_monitor.conftest import Monitor


def anomaly(commande_id: str, kind: Kind = Kind.STUCK) -> Anomaly:
    return Anomaly(
        kind, *order_with(commande_id), "stock", START, "unresponsive", f"{commande_id} waits for stock"
    )


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


async def shown(app: ConsoleApp, pilot: Pilot[None]) -> str:
    """The screen after the next redraw."""
    app.redraw()
    await pilot.pause()
    return "\n".join(screen_of(app))


async def test_the_columns_follow_every_size(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-" + "1" * 40, HELD)
    await monitor.read(stream)
    app = console_app(monitor)
    async with on_terminal(app, 80, 24) as pilot:
        for width, height in ((120, 40), (200, 50), (80, 24)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            columns = [column.width for column in app.table.columns.values()]
            assert columns == list(column_widths(width - 1, SAGAS).values())
            (cells,) = (app.table.get_row_at(row) for row in range(app.table.row_count))
            assert cells[0].cell_len == min(44, columns[0])


@pytest.mark.parametrize("size", [(22, 24), (22, 5), (80, 24), (80, 5)])
async def test_the_help_is_read_at_any_size(monitor: Monitor, size: tuple[int, int]) -> None:
    app = console_app(monitor)
    async with on_terminal(app, *size) as pilot:
        await pilot.press("question_mark")
        text = " ".join((await shown(app, pilot)).replace("│", " ").split())
        assert "choose a line" in text


@pytest.mark.parametrize(("value", "coloured"), [(None, True), ("", True), ("1", False)])
def test_no_colour_is_asked_for_with_a_value(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch, value: str | None, *, coloured: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if value is not None:
        monkeypatch.setenv("NO_COLOR", value)
    app = console_app(monitor)
    assert (not app.no_color, not app.ansi_color) == (coloured, coloured)


async def test_nothing_is_called_well_before_it_was_judged(monitor: Monitor) -> None:
    app = console_app(monitor)
    app.status.anomalies = app.status.judged_at = None
    async with on_terminal(app, 80, 24) as pilot:
        await pilot.press("a")
        assert "live · not looked at yet" in await shown(app, pilot)
        app.status.judged([], now())
        assert "live · nothing is wrong" in await shown(app, pilot)


async def test_a_tick_while_a_screen_is_being_opened_ends_nothing(monitor: Monitor) -> None:
    app = console_app(monitor)
    async with on_terminal(app, 80, 24) as pilot:
        app.push_screen(AnomaliesScreen(app.status, app.snapshots.queries.sagas))
        app.redraw()
        assert "live" in await shown(app, pilot)


async def test_a_tick_while_a_screen_is_taken_down_ends_nothing(monitor: Monitor) -> None:
    app = console_app(monitor)
    async with on_terminal(app, 80, 24) as pilot:
        await pilot.press("a")
        await app.screen.query("#verdict").remove()
        app.redraw()
        await pilot.press("escape")
        assert "live" in await shown(app, pilot)


async def test_a_judgement_of_a_while_ago_is_called_so(monitor: Monitor) -> None:
    app = console_app(monitor)
    async with on_terminal(app, 80, 24) as pilot:
        await pilot.press("a")
        app.status.judged([], START)
        assert "nothing was wrong at 18:47:00 UTC, not looked at since" in await shown(app, pilot)
        app.status.judged([anomaly("CMD-1")], START)
        assert "1 anomaly at 18:47:00 UTC, not looked at since" in await shown(app, pilot)


async def test_the_anomalies_are_kept_up_while_they_are_read(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-2", HELD)
    await monitor.read(stream)
    app = console_app(monitor, anomaly("CMD-1"), anomaly("CMD-2"))
    async with on_terminal(app, 80, 24) as pilot:
        await pilot.press("a", "down")
        app.status.judged([anomaly("CMD-0", Kind.CONTRADICTION), anomaly("CMD-1"), anomaly("CMD-2")], now())
        assert "3 anomalies" in await shown(app, pilot)
        assert "CONTRADICTION  CMD-0 waits for stock" in await shown(app, pilot)
        app.status.judged([anomaly("CMD-2")], now())
        assert "1 anomaly" in await shown(app, pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, InstanceScreen)
        assert "CMD-2" in screen_of(app)[0]


@pytest.mark.parametrize("keys", [[], ["enter"], ["a"]])
async def test_every_screen_says_how_the_link_stands(stream: Stream, monitor: Monitor, keys: list[str]) -> None:
    stream.publish("CMD-1", HELD)
    await monitor.read(stream)
    app = console_app(monitor)
    async with on_terminal(app, 80, 24) as pilot:
        await pilot.press(*keys)
        assert "live" in (await shown(app, pilot)).splitlines()[0]
        app.status.link("broker away", "connection refused")
        assert "broker away" in (await shown(app, pilot)).splitlines()[0]


@pytest.mark.parametrize("keys", [[], ["enter"], ["a"]])
async def test_beside_a_writer_without_broker_its_age_is_told(
    stream: Stream, monitor: Monitor, keys: list[str]
) -> None:
    stream.publish("CMD-1", HELD)
    await monitor.read(stream)
    app = console_app(monitor)
    app.status.link("following", "another monitor writes this file; this one shows it")
    async with on_terminal(app, 80, 24) as pilot:
        await pilot.press(*keys)
        assert "old" not in (await shown(app, pilot)).splitlines()[0]
        monitor.store.caught_up(now() - dt.timedelta(minutes=4))
        assert "following, 4m 0" in (await shown(app, pilot)).splitlines()[0]


async def test_beside_a_writer_without_broker_the_table_says_what_may_be_wrong(monitor: Monitor) -> None:
    app = console_app(monitor)
    app.status.link("following", "another monitor writes this file; this one shows it")
    async with on_terminal(app, 120, 24) as pilot:
        assert "following, nothing read yet" in await shown(app, pilot)
        monitor.store.caught_up(START)
        assert "has not caught up since 2024-11-22 18:47:00 UTC" in await shown(app, pilot)
        monitor.store.caught_up(now())
        assert "another monitor writes this file; this one shows it" in await shown(app, pilot)


async def test_a_file_that_cannot_be_read_for_a_while_leaves_the_picture(
    stream: Stream, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.publish("CMD-1", HELD)
    await monitor.read(stream)
    app = console_app(monitor)
    async with on_terminal(app, 80, 24) as pilot:

        def locked(_: dt.datetime) -> None:
            raise DatabaseRefused("database is locked")

        with monkeypatch.context() as broken:
            broken.setattr(app.snapshots, "snapshot", locked)
            said = await shown(app, pilot)
        assert "1 in flight of 1 orders" in said
        assert "database is locked" in said
        assert app.error is None
        stream.publish("CMD-2", HELD)
        await monitor.read(stream)
        assert "2 in flight of 2 orders" in await shown(app, pilot)


@pytest.mark.parametrize("typed", ["cmd-a", "CMD-A"])
async def test_a_search_does_not_mind_capitals(stream: Stream, monitor: Monitor, typed: str) -> None:
    for name in ("CMD-A1", "CMD-A2", "CMD-B1"):
        stream.publish(name, HELD)
    await monitor.read(stream)
    app = console_app(monitor)
    async with on_terminal(app, 80, 24) as pilot:
        await pilot.press("slash", *typed)
        assert "· 2 shown" in await shown(app, pilot)


def test_the_troubles_leave_out_zeros_and_fit_80_columns() -> None:
    counts = {"dead_letters": 99_999, "retries": 250_000, "flag.INTERVENTION": 12_345}
    assert problems(Totals(counts, 0), 78).plain == "dead letters ever 99,999  INTERVENTION 12,345  retries 250k"
    assert "dead letter" in problems(Totals({}, 0), 78).plain


def test_every_state_and_every_trouble_is_shown_at_80_columns_on_further_lines_if_need_be() -> None:
    counts = {f"state.{state}": 99_999 for state in State} | {f"flag.{flag}": 999 for flag in Flag}
    totals = Totals(counts | {"dead_letters": 99_999, "retries": 250_000}, 999, 999)
    wanted = [f"{state} 99,999" for state in State], [f"{flag} 999" for flag in Flag]
    shown = (states(totals, 78), problems(totals, 78))
    for text, parts, height in zip(shown, wanted, (2, 3), strict=True):
        lines = text.plain.split("\n")
        assert len(lines) == height
        assert max(map(len, lines)) <= 78
        assert [part for part in parts if part not in text.plain] == []


def test_when_a_retry_comes_back_stands_before_its_long_reason() -> None:
    retry = Retry("paiement", "id", attempt=2, next=START + dt.timedelta(seconds=5), detail="x" * 150)
    assert retry_text(retry).plain.startswith("⟳ paiement: try 2 failed; the next at 18:47:05 UTC (xxx")
