"""While the broker takes no messages, under a memory alarm, publishing waits; nothing is lost, and it goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pika.exceptions import ConnectionBlockedTimeout

from choregraphie import Settings
from choregraphie.broker import public_lane
from choregraphie.broker.connection import connected
from choregraphie.broker.lanes import open_consuming, open_publishing, publish
from choregraphie.broker.lean import publishing as lean_lane
from choregraphie.messaging import Delivery, Outgoing, Properties, PublishOutcome
from scripts.nemesis import recorder
from scripts.nemesis.faults_broker import ENOUGH_MEMORY, NO_MEMORY
from scripts.nemesis.management import Management
from scripts.nemesis.nodes import USER, InstalledNode, installed
from scripts.probes import HOST
from tests.support.foreign_client import ForeignClient
from tests.support.workers import PATIENCE_SECONDS, until

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIRMED, UNKNOWN = PublishOutcome.CONFIRMED, PublishOutcome.UNKNOWN
QUEUE = "a.queue"
# More together than the sockets hold: the rest is still in the client.
BODY = bytes(range(256)) * 500
MESSAGES = [Outgoing("", QUEUE, BODY, Properties(message_id=str(number))) for number in range(100)]


class Alarm:
    """The memory alarm of a node: until its end the broker reads nothing from a connection that publishes."""

    def __init__(self, node: InstalledNode) -> None:
        self._node = node
        address = f"http://{HOST}:{node.port('management')}"
        self._management = Management(address, USER, node.password, "/")
        self._is_raised = False

    def begin(self) -> None:
        self._is_raised = True
        self._node.control("set_vm_memory_high_watermark", NO_MEMORY)

    def end(self) -> None:
        if self._is_raised:
            self._node.control("set_vm_memory_high_watermark", ENOUGH_MEMORY)
        self._is_raised = False

    def has_blocked(self, name: str) -> bool:
        connections = [row for row in self._management.connections() if row.get("user_provided_name") == name]
        return [row.get("state") for row in connections] == ["blocked"]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InstalledNode]:
    with installed(tmp_path_factory.mktemp("node") / "broker") as started:
        assert isinstance(started, InstalledNode)
        yield started


@pytest.fixture
def alarm(node: InstalledNode) -> Iterator[Alarm]:
    found = Alarm(node)
    yield found
    found.end()


@pytest.fixture(params=["lean", "public"])
def settings(request: pytest.FixtureRequest, node: InstalledNode) -> Settings:
    url = f"amqp://{USER}:{node.password}@{HOST}:{node.port('amqp')}/"
    with ForeignClient(url) as client:
        client.declare_queue(QUEUE)
    return Settings(amqp_url=url, lane=request.param)


def confirms_may_take(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    for lane in (public_lane, lean_lane):
        monkeypatch.setattr(lane, "CONFIRM_SECONDS", seconds)


async def received(settings: Settings) -> list[Delivery]:
    """What is in the queue, from when all messages have arrived."""
    found: list[Delivery] = []
    async with connected(settings, "consumes") as connection:
        consuming = await open_consuming(connection, 10 * len(MESSAGES))
        await consuming.consume(QUEUE, found.extend)
        await asyncio.to_thread(until, lambda: len(_ids(found)) >= len(MESSAGES), "all of them have arrived")
        await consuming.ack(found[-1].tag, multiple=True)
    return found


def _ids(deliveries: list[Delivery]) -> set[str]:
    return {str(delivery.header.properties.message_id) for delivery in deliveries}


async def test_publishing_waits_for_a_blocked_connection_and_loses_nothing(
    settings: Settings, alarm: Alarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not confirmed in time is published again, on the same connection, as an outbox does."""
    async with connected(settings, "publishes") as connection:
        publishing, _ = await open_publishing(connection)
        await asyncio.to_thread(alarm.begin)
        confirms_may_take(0.5, monkeypatch)
        outcomes = await publish(publishing, MESSAGES)
        again = [message for message, outcome in zip(MESSAGES, outcomes, strict=True) if outcome is UNKNOWN]
        assert set(outcomes) <= {CONFIRMED, UNKNOWN}
        assert again

        confirms_may_take(10 * PATIENCE_SECONDS, monkeypatch)
        publishes = asyncio.create_task(publish(publishing, again))
        await asyncio.to_thread(until, lambda: alarm.has_blocked("publishes"), "the connection is blocked")
        assert not publishes.done()
        await asyncio.to_thread(alarm.end)
        assert await publishes == [CONFIRMED] * len(again)
    found = await received(settings)
    assert _ids(found) == {message.properties.message_id for message in MESSAGES}
    assert all(delivery.body == BODY for delivery in found)


def test_what_sends_dead_letters_back_in_a_chaos_run_gives_up_under_an_alarm(
    settings: Settings, alarm: Alarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that waited for the broker was itself to end the alarm, and hung."""
    monkeypatch.setattr(recorder, "BLOCKED_SECONDS", 1)
    with ForeignClient(settings.amqp_url) as client:
        client.declare_queue("b.dlq")
        client.publish("", "b.dlq", b"a letter")
        alarm.begin()
        with pytest.raises(ConnectionBlockedTimeout):
            list(recorder.redrive(settings.amqp_url, ["b"]))
        alarm.end()
        assert client.get("b.dlq", within_seconds=PATIENCE_SECONDS) is not None
