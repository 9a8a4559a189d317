"""The frames of a lane's channel go to the lane, every other byte to the client, however the bytes arrive."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from pamqp import body, commands, frame, header, heartbeat

from choregraphie.broker.lean.consuming import LeanConsuming
from choregraphie.broker.lean.transport import LeanTransport, _Protocol
from choregraphie.messaging import Delivery

LANE, OTHER = 2, 1


class _Channel:
    """The client's channel, which is never closed here."""

    number = LANE

    def __init__(self) -> None:
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()


def delivered(channel: int, tag: int, content: bytes) -> bytes:
    """The frames of a delivery, its body in frames of ten bytes."""
    deliver = commands.Basic.Deliver("ctag", tag, bool(tag % 2), "client.events", "commande.initiee")
    properties = commands.Basic.Properties(content_type="application/json", headers={"n": tag})
    parts = [
        frame.marshal(deliver, channel),
        frame.marshal(header.ContentHeader(body_size=len(content), properties=properties), channel),
        *(frame.marshal(body.ContentBody(content[at : at + 10]), channel) for at in range(0, len(content), 10)),
    ]
    return b"".join(parts)


FOR_CLIENT = [
    frame.marshal(heartbeat.Heartbeat(), 0),
    frame.marshal(commands.Basic.Cancel("ctag"), LANE),
    frame.marshal(commands.Queue.DeclareOk("q", 1, 1), LANE),
    delivered(OTHER, 9, b"of another channel"),
]
pieces = st.lists(
    st.sampled_from(FOR_CLIENT) | st.tuples(st.integers(1, 2**33), st.binary(max_size=35)), min_size=1, max_size=6
)


@given(pieces, st.data())
@settings(deadline=None)
def test_however_the_bytes_arrive_each_frame_finds_its_reader(
    pieces: list[bytes | tuple[int, bytes]], data: st.DataObject
) -> None:
    whole = b"".join(piece if isinstance(piece, bytes) else delivered(LANE, *piece) for piece in pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    arriving = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    deliveries, for_client = asyncio.run(received(arriving))
    assert [(one.tag, one.body) for one in deliveries] == [piece for piece in pieces if isinstance(piece, tuple)]
    assert all(one.headers == {"n": one.tag} and one.redelivered == bool(one.tag % 2) for one in deliveries)
    assert for_client == b"".join(piece for piece in pieces if isinstance(piece, bytes))


def test_the_bytes_may_arrive_one_by_one() -> None:
    whole = delivered(LANE, 1, b"x" * 25) + FOR_CLIENT[0] + delivered(LANE, 2, b"")
    arriving = [whole[at : at + 1] for at in range(len(whole))]
    deliveries, for_client = asyncio.run(received(arriving))
    assert [(one.tag, one.body) for one in deliveries] == [(1, b"x" * 25), (2, b"")]
    assert for_client == FOR_CLIENT[0]


def test_what_is_no_amqp_reaches_the_client_as_it_is() -> None:
    arriving = [b"AMQP\x00\x00", b"\x09\x01", b"and more"]
    deliveries, for_client = asyncio.run(received(arriving))
    assert deliveries == []
    assert for_client == b"".join(arriving)


async def received(arriving: list[bytes]) -> tuple[list[Delivery], bytes]:
    """What a lane and the client receive of those bytes; the signs of life are left out."""
    transport = LeanTransport()
    lane = LeanConsuming(_Channel(), transport)
    deliveries: list[Delivery] = []
    lane._on_deliveries = deliveries.extend
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = _Protocol(reader, loop, transport.lanes)
    protocol._forwarded_at = loop.time()
    for data in arriving:
        protocol.data_received(data)
    reader.feed_eof()
    return deliveries, await reader.read()


async def test_a_busy_lane_does_not_make_the_client_believe_that_the_broker_is_silent() -> None:
    transport = LeanTransport()
    LeanConsuming(_Channel(), transport)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = _Protocol(reader, loop, transport.lanes)
    protocol.data_received(delivered(LANE, 1, b"a"))
    assert await reader.readexactly(8) == frame.marshal(heartbeat.Heartbeat(), 0)
    protocol.data_received(delivered(LANE, 2, b"b"))
    reader.feed_eof()
    assert await reader.read() == b"", "one sign of life a second is enough"
