"""The console of an application of several sagas: a column for the saga, and a key that shows one alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saga_monitor.console.screens import InstanceScreen
from tests.saga_monitor.conftest import Monitor
from tests.saga_monitor.console.test_app import console_app, on_terminal, screen_of
from tests.saga_monitor.several_history import SAME, several_kinds
from tests.support.several_sagas import SEVERAL, retour, voyage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.saga_monitor.memory_stream import Stream


@pytest.fixture
def several(tmp_path: Path) -> Iterator[Monitor]:
    monitor = Monitor(tmp_path / "several.sqlite3", SEVERAL.saga_set)
    assert monitor.store.acquire()
    yield monitor
    monitor.close()


async def test_the_saga_of_each_is_shown_and_a_key_shows_one_alone(stream: Stream, several: Monitor) -> None:
    several_kinds(stream)
    await several.read(stream)
    app = console_app(several)
    async with on_terminal(app, 100, 24) as pilot:
        shown = screen_of(app)
        text = "\n".join(shown)
        assert "in flight of 6 instances" in text
        assert next(line for line in shown if " steps " in line).split()[:3] == ["instance", "saga", "steps"]
        assert {tuple(line.split()[:2]) for line in shown if line.strip().startswith(SAME)} == {
            *((SAME, saga) for saga in ("commande", "retour", "voyage"))
        }
        chosen = []
        for _ in range(4):
            await pilot.press("c")
            await pilot.pause()
            chosen.append((app.snapshots.saga, len(app.table.rows)))
        assert chosen == [("commande", 1), ("retour", 3), ("voyage", 2), (None, 6)]
        await pilot.press("c", "c", "c")
        await pilot.pause()
        shown = screen_of(app)
        assert "in flight of 2 voyages" in "\n".join(shown)
        assert "all voyages · 2 shown" in "\n".join(shown)
        assert next(line for line in shown if " steps " in line).split()[:2] == ["voyage", "steps"]


async def test_an_instance_opens_with_the_events_of_its_own_saga(stream: Stream, several: Monitor) -> None:
    several_kinds(stream)
    await several.read(stream)
    app = console_app(several)
    async with on_terminal(app, 120, 30) as pilot:
        await pilot.press("c", "c", "c")
        await pilot.pause()
        app.open_instance(voyage(SAME))
        await pilot.pause()
        assert isinstance(app.screen, InstanceScreen)
        shown = "\n".join(screen_of(app))
        assert f"voyage {SAME}" in shown
        assert "vol.reserve" in shown
        assert "stock.retour_recu" not in shown
        assert "hotel.reserve (hotel)" in shown
        await pilot.press("escape")
        app.open_instance(retour(SAME))
        await pilot.pause()
        assert "set aside at paiement" in "\n".join(screen_of(app))


async def test_the_key_is_offered_only_where_there_is_a_choice(monitor: Monitor, several: Monitor) -> None:
    for each, offered in ((several, True), (monitor, False)):
        app = console_app(each)
        async with on_terminal(app, 100, 30) as pilot:
            assert ("Saga" in screen_of(app)[-1]) is offered
            await pilot.press("c", "question_mark")
            await pilot.pause()
            assert app.snapshots.saga == ("commande" if offered else None)
            assert ("only the next saga" in "\n".join(screen_of(app))) is offered
