"""Entries of the history that arrive together are one batch."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import MagicMock

import pytest

from choregraphie.broker import stream
from choregraphie.broker.stream import BATCH, GATHER_SECONDS, _Reading
from choregraphie.errors import BrokerUnavailable

# A reader that does not wait would find them one by one.
APART_SECONDS = 0.002


@pytest.fixture
async def reading() -> _Reading:
    consuming: Any = MagicMock()
    return _Reading(consuming)


def _arrive(reading: _Reading, messages: list[Any]) -> None:
    """They arrive one after the other; any objects will do."""
    for number, message in enumerate(messages):
        asyncio.get_running_loop().call_later(number * APART_SECONDS, reading.on_deliveries, [message])


async def test_entries_that_keep_coming_are_one_batch(reading: _Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "GATHER_SECONDS", 60)  # a busy machine may stand still for longer than usual
    messages: list[Any] = list(range(int(GATHER_SECONDS / APART_SECONDS / 2)))
    _arrive(reading, messages)
    assert await reading.batch(60) == messages


async def test_no_batch_is_larger_than_the_largest(reading: _Reading) -> None:
    messages: list[Any] = list(range(BATCH + 1))
    for message in messages:
        reading.on_deliveries([message])
    assert [len(await reading.batch(60)), len(await reading.batch(60))] == [BATCH, 1]


async def test_a_session_that_is_lost_meanwhile_is_not_waited_for(reading: _Reading) -> None:
    _arrive(reading, [0, 1])
    reading._on_cancelled(MagicMock())
    with pytest.raises(BrokerUnavailable, match="gone"):
        await reading.batch(60)
