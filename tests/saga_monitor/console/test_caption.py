"""The caption above the orders, set by whoever starts the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saga_monitor.console.app import ConsoleApp
from saga_monitor.console.snapshot import SnapshotReader
from saga_monitor.console.status import ConsoleStatus
from tests.saga_monitor.console.test_app import SIZES, on_terminal, screen_of
from tests.saga_monitor.memory_stream import HELD

if TYPE_CHECKING:
    from tests.saga_monitor.conftest import Monitor
    from tests.saga_monitor.memory_stream import Stream


@pytest.mark.parametrize(("width", "height"), SIZES)
async def test_a_caption_stands_above_everything_and_only_while_there_is_one(
    stream: Stream, monitor: Monitor, width: int, height: int
) -> None:
    stream.publish("CMD-1", HELD)
    await monitor.read(stream)
    said_now = ["[bold]out of stock[/]: refused"]
    app = ConsoleApp(SnapshotReader(monitor.queries), ConsoleStatus(), caption=lambda: said_now[0])
    async with on_terminal(app, width, height) as pilot:
        assert "[bold]out of stock[/]: refused" in screen_of(app)[0]
        said_now[0] = ""
        app.redraw()
        await pilot.pause()
        assert "out of stock" not in "".join(screen_of(app))
