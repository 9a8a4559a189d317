"""What was confirmed before a command began is in its answer, and it waits for no silence of the broker."""

from __future__ import annotations

import datetime as dt
import functools
from contextlib import closing
from typing import TYPE_CHECKING, Any

from choregraphie import Settings
from choregraphie.broker import open_history
from saga_monitor.projection.store import Store
from saga_monitor.stream.catch_up import catch_up
from saga_monitor.stream.history_reader import Wanted, wanted_entries
from tests.saga_monitor.memory_stream import PLACED, event_bytes
from tests.support.order_saga import SAGAS
from tests.support.topology import declare_topology

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support.foreign_client import ForeignClient

TIMES = 30
# A reading that waited for a silence would not end within the limit of a test.
FOR_EVER = 3600.0


async def test_what_was_confirmed_is_in_the_answer_at_once(
    amqp_url: str, foreign_client: ForeignClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a new file, in one that is behind, and in one that is up to date; after one event, and after many."""
    settings = Settings(amqp_url=amqp_url)
    await declare_topology(settings)
    opening, published = functools.partial(open_history, settings), 0
    monkeypatch.setattr("choregraphie.broker.stream.IDLE_SECONDS", FOR_EVER)
    for number in range(TIMES):
        for _ in range(700 if number == TIMES // 2 else 1 + number % 3):
            body = event_bytes(f"CMD-{published}", PLACED[0])
            assert foreign_client.publish("client.events", "commande.initiee", body)
            published += 1
        for name in (f"new-{number}", "kept", "kept"):
            assert await _read_up_to(opening, tmp_path / f"{name}.sqlite3") == published - 1
    told = [entry.offset async for entry, _ in _told(opening)]
    assert told == list(range(published))


async def _read_up_to(opening: Any, path: Path) -> int:
    """The offset of the last entry that a command has read."""
    asked = dt.datetime.now(dt.UTC)
    with closing(Store(path, SAGAS)) as store:
        assert await catch_up(opening, store, 60) == []
        position = store.position()
    assert position.caught_up_at
    assert position.caught_up_at >= asked
    assert position.last
    return position.last.offset


async def _told(opening: Any) -> Any:
    async with opening() as history:
        now = dt.datetime.now(dt.UTC)
        async for told in wanted_entries(history, SAGAS, Wanted(), follow=False, now=now):
            yield told
