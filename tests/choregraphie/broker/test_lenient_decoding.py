"""Messages whose AMQP properties the client cannot decode are received, and the connection stays open."""

from __future__ import annotations

import struct
import sys
from typing import Any

import pika.data
import pytest
from pamqp import commands, decode

from choregraphie import Settings
from choregraphie.broker import open_history, open_session
from choregraphie.broker.lenient_decoding import install
from choregraphie.messaging import HistoryEntry
from services.application import APP
from tests.support.foreign_client import ForeignClient

DEPTH = 1500


def nested(depth: int) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for _ in range(depth):
        table = {"a": table}
    return table


UNDECODABLE: dict[str, dict[str, Any]] = {
    "a timestamp in nanoseconds": {"timestamp": 1_790_000_000_000_000_000},
    "the largest timestamp there is": {"timestamp": 2**64 - 1},
    "a short string that is not UTF-8": {"message_id": b"\xff\xfe", "type": b"\xc3("},
    "a table nested very deeply": {"headers": nested(DEPTH)},
    "a header whose name is not UTF-8": {"headers": {b"\xff": 1}},
}


@pytest.fixture
def deep_stack() -> Any:
    """The foreign client encodes nested tables recursively and needs a deep stack."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.parametrize("properties", UNDECODABLE.values(), ids=UNDECODABLE)
async def test_an_undecodable_property_ends_no_connection_and_the_message_arrives(
    amqp_url: str, foreign_client: ForeignClient, properties: dict[str, Any], deep_stack: None
) -> None:
    settings = Settings(amqp_url=amqp_url)
    async with open_session(settings, "stock", APP.topology(settings)) as session:
        foreign_client.publish("client.events", "commande.initiee", b"before")
        foreign_client.publish("client.events", "commande.initiee", b"poison", **properties)
        foreign_client.publish("client.events", "commande.initiee", b"after")
        sys.setrecursionlimit(1000)
        await session.consume()
        bodies: list[bytes] = []
        while len(bodies) < 3:
            deliveries = await session.deliveries(10)
            bodies += [delivery.body for delivery in deliveries]
            await session.ack([delivery.tag for delivery in deliveries])
    assert bodies == [b"before", b"poison", b"after"]


async def test_the_broker_s_own_headers_beside_an_undecodable_one_are_decoded(
    amqp_url: str, foreign_client: ForeignClient
) -> None:
    """The reader of the history needs the offset, which the broker puts among the headers."""
    settings = Settings(amqp_url=amqp_url)
    mixed = {**UNDECODABLE["a header whose name is not UTF-8"]["headers"], "good": "yes"}
    async with open_session(settings, "stock", APP.topology(settings)):
        foreign_client.publish("client.events", "commande.initiee", b"before")
        foreign_client.publish("client.events", "commande.initiee", b"poison", headers=mixed)
        foreign_client.publish("client.events", "commande.initiee", b"after")
    read: list[HistoryEntry] = []
    async with open_history(settings) as history:
        async for batch in history.entries(0):
            read += batch
            if len(read) >= 3:
                break
    assert [(entry.offset, entry.body) for entry in read] == [(0, b"before"), (1, b"poison"), (2, b"after")]
    assert read[1].headers["good"] == "yes"


async def test_a_routing_key_that_is_not_utf_8_stops_no_reader_of_the_history(
    amqp_url: str, foreign_client: ForeignClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays in the stream, so a reader that stopped there would never get past it."""
    settings = Settings(amqp_url=amqp_url)
    async with open_session(settings, "stock", APP.topology(settings)):
        odd, encode = "odd key", pika.data.encode_short_string
        raw = b"\x04odd\xff"
        monkeypatch.setattr(
            pika.data,
            "encode_short_string",
            lambda pieces, value: (pieces.append(raw), len(raw))[1] if value == odd else encode(pieces, value),
        )
        foreign_client.publish("client.events", odd, b"poison")
        foreign_client.publish("client.events", "commande.initiee", b"after")
    read: list[HistoryEntry] = []
    async with open_history(settings) as history:
        async for batch in history.entries(0):
            read += batch
            if len(read) >= 2:
                break
    assert [(entry.offset, entry.routing_key, entry.body) for entry in read] == [
        (0, "odd?", b"poison"),
        (1, "commande.initiee", b"after"),
    ]


@pytest.fixture(autouse=True)
def lenient() -> None:
    """Install the decoders for the tests without a connection."""
    install()


def test_the_properties_beside_an_undecodable_one_are_decoded() -> None:
    def short(text: bytes) -> bytes:
        return bytes([len(text)]) + text

    flags = commands.Basic.Properties.flags
    data = short(b"\xff\xfe") + struct.pack(">Q", 2**64 - 1) + short(b"stock")
    properties = commands.Basic.Properties()
    properties.unmarshal(flags["message_id"] | flags["timestamp"] | flags["app_id"], data)
    assert (properties.message_id, properties.timestamp, properties.app_id) == (None, None, "stock")


def field(name: bytes, kind: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + kind + value


def test_each_decodable_field_of_a_table_is_decoded() -> None:
    fields = (
        field(b"before", b"l", struct.pack(">q", 7)),
        field(b"\xff", b"S", struct.pack(">I", 3) + b"odd"),
        field(b"late", b"T", struct.pack(">Q", 2**64 - 1)),
        field(b"odd", b"?", struct.pack(">I", 2) + b"??"),
        field(b"nothing", b"V", b""),
        field(b"list", b"A", struct.pack(">I", 2) + b"b\x05"),
        field(b"after", b"I", struct.pack(">i", 9)),
    )
    table = b"".join(fields)
    properties = commands.Basic.Properties()
    properties.unmarshal(properties.flags["headers"], struct.pack(">I", len(table)) + table)
    assert properties.headers == {"before": 7, "nothing": None, "list": [5], "after": 9}


@pytest.mark.parametrize("cut", range(1, 24))
def test_a_table_that_is_cut_short_gives_the_fields_before_the_cut(cut: int) -> None:
    table = field(b"\xff", b"t", b"\x01") + field(b"good", b"S", struct.pack(">I", 3) + b"yes")
    part = table[:-cut] if cut < len(table) else b""
    properties = commands.Basic.Properties()
    properties.unmarshal(properties.flags["headers"], struct.pack(">I", len(part)) + part)
    assert properties.headers == {}


def test_pamqp_still_has_the_internals_that_we_replace() -> None:
    """When this fails, pamqp has changed: look at `choregraphie/broker/lenient_decoding.py` first."""
    properties = commands.Basic.Properties
    assert properties.__slots__[:3] == ["content_type", "content_encoding", "headers"]
    assert set(properties.flags) == set(properties.__slots__)
    assert {getattr(properties, f"_{name}") for name in properties.__slots__} == {
        "shortstr",
        "table",
        "octet",
        "timestamp",
    }
    assert decode.by_type(b"\x02ab", "shortstr") == (3, "ab")
