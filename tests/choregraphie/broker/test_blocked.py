"""While the broker takes no messages, under a memory alarm, publishing waits; nothing is lost, and it goes on."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie import Settings
from choregraphie.broker import public_lane
from choregraphie.broker.connection import connected
from choregraphie.broker.lanes import open_consuming, open_publishing, publish
from choregraphie.broker.lean import publishing as lean_publishing
from choregraphie.messaging import Delivery, Outgoing, Properties, PublishOutcome
from scripts.nemesis.faults_broker import ENOUGH_MEMORY, NO_MEMORY
from scripts.nemesis.nodes import USER, InstalledNode, installed
from scripts.probes import HOST
from tests.support.foreign_client import ForeignClient
from tests.support.workers import PATIENCE_SECONDS, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUEUE = "a.queue"
# More together than the sockets hold, so that most of it is still in the client.
BODY = bytes(range(256)) * 500
COUNT = 250


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InstalledNode]:
    with installed(tmp_path_factory.mktemp("node") / "broker") as started:
        assert isinstance(started, InstalledNode)
        yield started


@pytest.fixture(params=["lean", "public"])
def settings(request: pytest.FixtureRequest, node: InstalledNode) -> Settings:
    url = f"amqp://{USER}:{node.password}@{HOST}:{node.port('amqp')}/"
    with ForeignClient(url) as client:
        client.declare_queue(QUEUE)
    return Settings(amqp_url=url, lane=request.param)


@pytest.fixture
def alarm(node: InstalledNode) -> Iterator[Callable[[str], None]]:
    """Sets the memory that the node may take, a part of the machine's."""

    def allow(memory: str) -> None:
        node.control("set_vm_memory_high_watermark", memory)

    yield allow
    allow(ENOUGH_MEMORY)


def confirms_may_take(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    for lane in (public_lane, lean_publishing):
        monkeypatch.setattr(lane, "CONFIRM_SECONDS", seconds)


MESSAGES = [Outgoing("", QUEUE, BODY, Properties(message_id=str(number))) for number in range(COUNT)]


def is_blocked(node: InstalledNode) -> bool:
    shown = node.control("list_connections", "client_properties", "state", "--silent")
    return any("publishes" in line and line.endswith("blocked") for line in shown.splitlines())


async def until_blocked(node: InstalledNode) -> None:
    await asyncio.to_thread(until, lambda: is_blocked(node), "the connection is blocked")


async def received(settings: Settings, least: int) -> Counter[str]:
    """How often each message is in the queue, by its id; waits until there are that many."""
    found: list[Delivery] = []
    async with connected(settings, "consumes") as connection:
        consuming = await open_consuming(connection, 2 * COUNT)
        await consuming.consume(QUEUE, found.extend)
        await asyncio.to_thread(until, lambda: len(found) >= least, "all of them have arrived")
        await consuming.ack(found[-1].tag, multiple=True)
        assert all(delivery.body == BODY for delivery in found)
    return Counter(str(delivery.header.properties.message_id) for delivery in found)


async def test_publishing_waits_for_a_blocked_connection_and_goes_on(
    node: InstalledNode, settings: Settings, alarm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirms_may_take(10 * PATIENCE_SECONDS, monkeypatch)
    async with connected(settings, "publishes") as connection:
        publishing, _ = await open_publishing(connection)
        await asyncio.to_thread(alarm, NO_MEMORY)
        publishes = asyncio.create_task(publish(publishing, MESSAGES))
        await until_blocked(node)
        assert not publishes.done()
        await asyncio.to_thread(alarm, ENOUGH_MEMORY)
        assert await publishes == [PublishOutcome.CONFIRMED] * COUNT
    assert await received(settings, COUNT) == {str(number): 1 for number in range(COUNT)}


async def test_what_a_blocked_connection_does_not_confirm_in_time_is_published_again(
    node: InstalledNode, settings: Settings, alarm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the outbox does it: on the same connection, until each is confirmed."""
    async with connected(settings, "publishes") as connection:
        publishing, _ = await open_publishing(connection)
        await asyncio.to_thread(alarm, NO_MEMORY)
        confirms_may_take(0.5, monkeypatch)
        outcomes = await publish(publishing, MESSAGES)
        assert set(outcomes) <= {PublishOutcome.CONFIRMED, PublishOutcome.UNKNOWN}
        again = [message for message, outcome in zip(MESSAGES, outcomes, strict=True) if outcome.name == "UNKNOWN"]
        assert again
        await until_blocked(node)
        confirms_may_take(10 * PATIENCE_SECONDS, monkeypatch)
        publishes = asyncio.create_task(publish(publishing, again))
        await asyncio.to_thread(alarm, ENOUGH_MEMORY)
        assert await publishes == [PublishOutcome.CONFIRMED] * len(again)
    found = await received(settings, COUNT)
    assert found.keys() == {str(number) for number in range(COUNT)}
