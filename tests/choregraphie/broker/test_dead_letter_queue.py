"""What an operator takes from a queue of dead letters is all of it, however slowly the broker delivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from choregraphie import Settings
from choregraphie.broker import dead_letter_queue, open_dead_letters

if TYPE_CHECKING:
    from tests.support.foreign_client import ForeignClient

LETTERS = 60


@pytest.mark.parametrize("lane", ["lean", "public"])
async def test_a_letter_that_is_still_on_its_way_is_waited_for(
    amqp_url: str, foreign_client: ForeignClient, monkeypatch: pytest.MonkeyPatch, lane: str
) -> None:
    """A letter that the broker has sent, and that has not arrived, is not counted in its queue any more."""
    monkeypatch.setattr(dead_letter_queue, "SILENCE_SECONDS", 0.0)
    monkeypatch.setattr(dead_letter_queue, "LONGEST_SILENCE", 1_000_000)
    foreign_client.declare_queue("stock.dlq")
    for number in range(LETTERS):
        foreign_client.publish("", "stock.dlq", b"%03d" % number + b"x" * 100_000)
    async with open_dead_letters(Settings(amqp_url=amqp_url, lane=lane), "test") as queues:
        found = await queues.take("stock", LETTERS + 1)
        assert [delivery.body[:3] for delivery in found] == [b"%03d" % number for number in range(LETTERS)]
