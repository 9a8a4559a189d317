"""The history stream on a real broker: where it begins and ends."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import pytest

from choregraphie import Settings
from choregraphie.broker import open_history
from tests.support.foreign_client import ForeignClient
from tests.support.topology import declare_topology

if TYPE_CHECKING:
    from collections.abc import Iterator

# More than the broker sends to a consumer that does not acknowledge.
MANY = 3000
# An end that is asked too early would be seen now and then.
TIMES = 200


async def test_the_newest_entry_is_known_at_once(amqp_url: str, foreign_client: ForeignClient) -> None:
    settings = Settings(amqp_url=amqp_url)
    await declare_topology(settings)
    async with open_history(settings) as history:
        assert (await history.first(), await history.last()) == (None, None)
        for number in range(2):
            foreign_client.publish("client.events", "commande.initiee", b"%d" % number)
            first, last = await history.first(), await history.last()
            assert first and (first.offset, first.body) == (0, b"0")
            assert last and (last.offset, last.body) == (number, b"%d" % number)


async def test_a_stream_that_has_just_got_its_first_entry_is_not_taken_for_empty(
    amqp_url: str, foreign_client: ForeignClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also not by a process so busy that its wait times out before it looks at what arrived."""
    monkeypatch.setattr("choregraphie.broker.stream.IDLE_SECONDS", 0)
    settings = Settings(amqp_url=amqp_url)
    await declare_topology(settings)
    async with open_history(settings) as history:
        foreign_client.publish("client.events", "commande.initiee", b"{}")
        assert await history.first() is not None


@pytest.mark.parametrize("lane", ["lean", "public"])
async def test_what_was_just_confirmed_is_the_newest_entry(
    amqp_url: str, foreign_client: ForeignClient, lane: Literal["lean", "public"]
) -> None:
    settings = Settings(amqp_url=amqp_url, lane=lane)
    await declare_topology(settings)
    async with open_history(settings) as history:
        for number in range(TIMES):
            assert foreign_client.publish("client.events", "commande.initiee", b"%d" % number)
            last = await history.last()
            assert last and (last.offset, last.body) == (number, b"%d" % number)


async def test_while_others_publish_the_newest_entry_is_not_before_what_was_confirmed(amqp_url: str) -> None:
    settings = Settings(amqp_url=amqp_url)
    await declare_topology(settings)
    async with open_history(settings) as history:
        with _publisher(amqp_url) as confirmed:
            for _ in range(TIMES):
                known = len(confirmed)
                last = await history.last()
                assert (last.offset if last else -1) >= known - 1
        assert confirmed


@contextmanager
def _publisher(amqp_url: str) -> Iterator[list[bool]]:
    """Publishes one event after another meanwhile; yields a list that grows with each confirm."""
    confirmed, stop = list[bool](), threading.Event()

    def publish() -> None:
        with ForeignClient(amqp_url) as client:
            while not stop.is_set():
                confirmed.append(client.publish("client.events", "commande.initiee", b"{}"))

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield confirmed
    finally:
        stop.set()
        thread.join()


async def test_the_newest_entry_of_a_large_chunk_is_the_newest(amqp_url: str) -> None:
    settings = Settings(amqp_url=amqp_url)
    await declare_topology(settings)
    async with open_history(settings) as history:
        with ForeignClient(amqp_url, confirms=False) as unconfirmed:
            for _ in range(MANY):
                unconfirmed.publish("client.events", "commande.initiee", b"{}")
        while (last := await history.last()) is None or last.offset < MANY - 1:
            pass
        assert last.offset == MANY - 1
