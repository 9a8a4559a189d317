"""Both lanes keep what `lanes.py` promises, on a real broker."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from choregraphie import BrokerRefused, BrokerUnavailable, Settings
from choregraphie.broker import connection as connections
from choregraphie.broker.connection import LOST_ERRORS, LeanConnection, PublicConnection, connected
from choregraphie.broker.lanes import open_consuming, open_publishing, publish
from choregraphie.messaging import Delivery, HeaderValue, Outgoing, Properties, PublishOutcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from choregraphie.broker.lanes import Consuming, Publishing
    from scripts.nemesis.management import Management
    from tests.support.foreign_client import ForeignClient

CONFIRMED, RETURNED = PublishOutcome.CONFIRMED, PublishOutcome.RETURNED
REFUSED, UNKNOWN = PublishOutcome.REFUSED, PublishOutcome.UNKNOWN
QUEUE = "a.queue"
# Larger than a frame, which has 128 KiB.
LARGE = bytes(range(256)) * 1200


@pytest.fixture(params=["lean", "public"])
def lane_settings(request: pytest.FixtureRequest, amqp_url: str) -> Settings:
    return Settings(amqp_url=amqp_url, lane=request.param)


@pytest.fixture
async def connection(lane_settings: Settings) -> AsyncIterator[Any]:
    async with connected(lane_settings, "test") as opened:
        assert isinstance(opened, LeanConnection if lane_settings.lane == "lean" else PublicConnection)
        yield opened


@pytest.fixture
async def publishing(connection: Any, foreign_client: ForeignClient) -> Publishing:
    foreign_client.declare_queue(QUEUE)
    opened, _ = await open_publishing(connection)
    return opened


def message(name: object, body: bytes = b"{}", queue: str = QUEUE) -> Outgoing:
    """A message for a queue, through the default exchange."""
    return Outgoing("", queue, body, Properties(message_id=str(name), type="t", content_type="application/json"))


class Received:
    """What a consumer received."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self._more = asyncio.Event()

    def add(self, deliveries: list[Delivery]) -> None:
        self.deliveries += deliveries
        self._more.set()

    async def until(self, count: int) -> list[Delivery]:
        """Wait until so many have arrived."""
        async with asyncio.timeout(60):
            while len(self.deliveries) < count:
                self._more.clear()
                await self._more.wait()
        return self.deliveries


async def consumer(connection: Any, prefetch: int = 500) -> tuple[Consuming, Received]:
    consuming, received = await open_consuming(connection, prefetch), Received()
    await consuming.consume(QUEUE, received.add)
    return consuming, received


async def test_what_is_published_is_received_as_it_was_sent(connection: Any, publishing: Publishing) -> None:
    sent = [message(number, body) for number, body in enumerate([b"", b"{}", LARGE, b"last"])]
    headers: dict[str, HeaderValue] = {"x-saga-attempt": 3, "x-saga-detail": "é", "binary": b"\x00\xff"}
    sent[1] = sent[1]._replace(headers=headers)
    assert await publishing.publish(sent) == [CONFIRMED] * 4
    _, received = await consumer(connection)
    deliveries = await received.until(4)
    assert [delivery.body for delivery in deliveries] == [one.body for one in sent]
    assert [delivery.properties.message_id for delivery in deliveries] == ["0", "1", "2", "3"]
    assert [delivery.routing_key for delivery in deliveries] == [QUEUE] * 4
    assert [delivery.tag for delivery in deliveries] == [1, 2, 3, 4]
    assert dict(deliveries[1].headers) == headers | {"binary": bytearray(b"\x00\xff")}
    assert {delivery.content_type for delivery in deliveries} == {"application/json"}


async def test_a_group_is_sent_by_a_few_writes(
    connection: Any, publishing: Publishing, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, write = 0, asyncio.StreamWriter.write

    def counted(writer: asyncio.StreamWriter, data: bytes) -> None:
        nonlocal writes
        writes += 1
        write(writer, data)

    monkeypatch.setattr(asyncio.StreamWriter, "write", counted)
    assert {*await publishing.publish([message(number) for number in range(200)])} == {CONFIRMED}
    assert 0 < writes < 20


async def test_nothing_to_publish_takes_no_time(publishing: Publishing) -> None:
    async with asyncio.timeout(60):
        assert await publish(publishing, []) == []


async def test_a_returned_message_is_known_among_confirmed_ones(publishing: Publishing) -> None:
    nowhere = message("nowhere", LARGE, queue="no.such.queue")
    batch = [message("a"), nowhere, message("b"), message("c", queue="nor.this"), message("d")]
    assert await publish(publishing, batch) == [CONFIRMED, RETURNED, CONFIRMED, RETURNED, CONFIRMED]


async def test_a_returned_message_is_known_by_an_id_that_is_longer_than_a_short_string(
    publishing: Publishing,
) -> None:
    """Two ids that differ only after the cut are told apart too."""
    long = "漢" * 99
    batch = [message(f"{long}1"), message(f"{long}2", queue="no.such.queue"), message(f"{long}3")]
    assert await publish(publishing, batch) == [CONFIRMED, RETURNED, CONFIRMED]


async def test_a_message_that_cannot_be_encoded_leaves_the_outcomes_of_others_right(
    publishing: Publishing, lane_settings: Settings
) -> None:
    unencodable: Any = {"x": object()}
    if lane_settings.lane == "lean":
        with pytest.raises(TypeError):
            await publish(publishing, [message("a"), message("b")._replace(headers=unencodable)])
    batch = [message("c"), message("d", queue="no.such.queue"), message("e")]
    assert await publish(publishing, batch) == [CONFIRMED, RETURNED, CONFIRMED]


async def test_messages_with_one_id_have_each_an_outcome_of_its_own(publishing: Publishing) -> None:
    batch = [message("same"), message("same", queue="no.such.queue"), message("same")]
    assert await publish(publishing, batch) == [CONFIRMED, RETURNED, CONFIRMED]


async def test_a_full_queue_refuses(connection: Any, foreign_client: ForeignClient) -> None:
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    foreign_client.declare_queue("full", **full)
    publishing, _ = await open_publishing(connection)
    seen: set[PublishOutcome] = set()
    async with asyncio.timeout(60):  # the queue notices that it is full a little later
        while REFUSED not in seen:
            seen |= {*await publish(publishing, [message(number, queue="full") for number in range(10)])}
    assert seen == {CONFIRMED, REFUSED}


async def test_two_groups_at_once_have_each_their_own_outcomes(publishing: Publishing) -> None:
    groups = [[message(f"{group}-{n}", queue=QUEUE if n % 3 else "nowhere") for n in range(200)] for group in "ab"]
    expected = [CONFIRMED if n % 3 else RETURNED for n in range(200)]
    assert await asyncio.gather(*(publish(publishing, group) for group in groups)) == [expected, expected]


async def test_thousands_of_messages_are_confirmed_and_received_once(
    connection: Any, publishing: Publishing
) -> None:
    sent = [message(number, str(number).encode()) for number in range(3000)]
    assert {*await publish(publishing, sent)} == {CONFIRMED}
    consuming, received = await consumer(connection, prefetch=100)
    for count in range(100, 3001, 100):
        deliveries = await received.until(count)
        await consuming.ack(deliveries[count - 1].tag, multiple=True)
    assert [delivery.body for delivery in received.deliveries] == [one.body for one in sent]


async def test_an_acknowledged_message_is_gone_and_a_requeued_one_comes_back(
    connection: Any, publishing: Publishing, lane_settings: Settings
) -> None:
    await publishing.publish([message(number) for number in range(4)])
    consuming, received = await consumer(connection)
    deliveries = await received.until(4)
    await consuming.ack(deliveries[0].tag, multiple=False)
    await consuming.ack(deliveries[2].tag, multiple=False)
    await consuming.requeue(deliveries[1].tag)
    back = (await received.until(5))[4]
    assert (back.properties.message_id, back.redelivered) == ("1", True)
    await consuming.ack(back.tag, multiple=True)
    await consuming.channel.close()
    _, again = await consumer(connection)
    await publishing.publish([message("new")])
    assert [one.properties.message_id for one in await again.until(1)] == ["new"]


async def test_a_group_that_the_broker_cuts_off_is_unknown(
    publishing: Publishing, connection: Any, management: Management
) -> None:
    async def publish_until_lost() -> list[PublishOutcome]:
        while True:
            outcomes = await publish(publishing, [message(number) for number in range(50)])
            if UNKNOWN in outcomes:
                return outcomes

    publishing_task = asyncio.create_task(publish_until_lost())
    await asyncio.to_thread(management.close_connections)
    async with asyncio.timeout(60):
        await publishing_task
    assert await publishing.publish([message("late")]) == [UNKNOWN], "and what follows too"


async def test_a_message_for_a_missing_exchange_loses_the_channel_and_is_unknown(publishing: Publishing) -> None:
    nowhere = message("x")._replace(exchange="no.such.exchange")
    assert (await publishing.publish([nowhere, message("y")]))[0] is UNKNOWN
    assert await publishing.publish([message("z")]) == [UNKNOWN]


async def test_a_cancelled_publish_leaves_the_channel_usable(publishing: Publishing) -> None:
    for number in range(5):
        waiting = asyncio.create_task(publish(publishing, [message(f"{number}-{n}") for n in range(50)]))
        await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
    assert await publishing.publish([message("after")]) == [CONFIRMED]


async def test_what_is_acknowledged_after_the_channel_was_closed_ends_no_connection(
    connection: Any, publishing: Publishing
) -> None:
    await publishing.publish([message("a")])
    consuming, received = await consumer(connection)
    (delivery,) = await received.until(1)
    await consuming.channel.close()
    with contextlib.suppress(*LOST_ERRORS):
        await consuming.ack(delivery.tag, multiple=True)
    with contextlib.suppress(*LOST_ERRORS):
        await consuming.requeue(delivery.tag)
    assert await publishing.publish([message("b")]) == [CONFIRMED]


async def test_no_lane_opens_on_a_closed_connection(lane_settings: Settings) -> None:
    async with connected(lane_settings, "test") as connection:
        await connection.close()
        with pytest.raises(BrokerUnavailable):
            await open_publishing(connection)
        with pytest.raises(BrokerUnavailable):
            await open_consuming(connection, 10)


async def test_a_busy_channel_keeps_its_connection_alive(
    lane_settings: Settings, foreign_client: ForeignClient
) -> None:
    """The client takes a broker for dead of which it reads no frame for three heartbeats, here of two seconds."""
    foreign_client.declare_queue(QUEUE)
    hasty = lane_settings.model_copy(update={"amqp_url": f"{lane_settings.amqp_url}?heartbeat=2"})
    async with connected(hasty, "test") as connection:
        publishing, _ = await open_publishing(connection)
        consuming, received = await consumer(connection)
        end, number = asyncio.get_running_loop().time() + 8, 0
        while asyncio.get_running_loop().time() < end:
            assert await publishing.publish([message(number)]) == [CONFIRMED]
            number += 1
            await consuming.ack((await received.until(number))[-1].tag, multiple=True)
        assert not connection.is_closed


@pytest.fixture
def unknown_client(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """A client that is given no transport. Yields the log's entries."""
    monkeypatch.setattr(connections, "unsupported", lambda: "aiormq 9 is not known; 7 is")
    connections._log_fall_back.cache_clear()
    with capture_logs() as logs:
        yield logs
    connections._log_fall_back.cache_clear()


async def test_where_the_client_is_unknown_auto_is_public_and_lean_is_refused(
    amqp_url: str, unknown_client: list[Any]
) -> None:
    for _ in range(2):
        async with connected(Settings(amqp_url=amqp_url, lane="auto"), "test") as opened:
            assert not isinstance(opened, LeanConnection)
    assert [entry["event"] for entry in unknown_client] == ["lane.is_public"]
    with pytest.raises(BrokerRefused, match="SAGA_LANE: lean is not possible: aiormq 9 is not known"):
        async with connected(Settings(amqp_url=amqp_url, lane="lean"), "test"):
            pass


async def test_where_the_client_is_unknown_the_public_lane_writes_as_the_client_does(
    amqp_url: str, foreign_client: ForeignClient, unknown_client: list[Any]
) -> None:
    foreign_client.declare_queue(QUEUE)
    async with connected(Settings(amqp_url=amqp_url, lane="public"), "test") as opened:
        assert not isinstance(opened, PublicConnection)
        publishing, _ = await open_publishing(opened)
        assert await publishing.publish([message("a"), message("b")]) == [CONFIRMED] * 2
        _, received = await consumer(opened)
        assert [one.properties.message_id for one in await received.until(2)] == ["a", "b"]
    assert [entry["event"] for entry in unknown_client] == ["lane.sends_each_write"]
