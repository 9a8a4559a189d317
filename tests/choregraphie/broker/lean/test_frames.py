"""What the lean lane writes and reads is what the client's codec writes and reads."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pamqp import body, commands, frame, header

from choregraphie.broker.lean.content_header import EncodedHeader, decoded_by_client
from choregraphie.broker.lean.frames import acknowledged, frame_at, published, returned_to_queue
from choregraphie.broker.lenient_decoding import install
from choregraphie.broker.public_lane import _amqp
from choregraphie.messaging import Outgoing, Properties

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST_FRAME = 4096
CHANNEL = 7

short_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
instants = st.integers(0, 2**32).map(lambda seconds: dt.datetime.fromtimestamp(seconds, dt.UTC))
integers = st.integers(-(2**63), 2**63 - 1)
fields = st.dictionaries(
    st.text("abcxyz-é", min_size=1, max_size=20), st.text(max_size=40) | integers | st.booleans()
)
optional = st.none() | short_texts
properties = st.builds(
    Properties,
    message_id=optional,
    type=optional,
    correlation_id=optional,
    app_id=optional,
    timestamp=st.none() | instants,
    content_type=optional,
    content_encoding=optional,
)
messages = st.builds(
    Outgoing,
    exchange=st.text("abc.", max_size=20),
    routing_key=short_texts,
    body=st.binary(max_size=3 * LARGEST_FRAME),
    properties=properties,
    headers=fields,
    expiration_ms=st.none() | st.integers(0, 2**32),
)


@pytest.fixture(autouse=True)
def lenient() -> None:
    install()


def split(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    at = 0
    while found := frame_at(data, at):
        yield found
        at = found[3] + 1


def by_client(message: Outgoing) -> bytes:
    """The frames of a message as the client's codec writes them."""
    key = message.routing_key.encode()[:255].decode(errors="ignore")
    method = commands.Basic.Publish(exchange=message.exchange, routing_key=key, mandatory=True)
    shown = header.ContentHeader(body_size=len(message.body), properties=_amqp(message))
    parts = [frame.marshal(method, CHANNEL), frame.marshal(shown, CHANNEL)]
    most = LARGEST_FRAME - 8
    bodies = (message.body[at : at + most] for at in range(0, len(message.body), most))
    return b"".join([*parts, *(frame.marshal(body.ContentBody(part), CHANNEL) for part in bodies)])


@given(messages)
@settings(deadline=None)
def test_a_message_is_written_as_the_client_writes_it(message: Outgoing) -> None:
    assert published(CHANNEL, message, LARGEST_FRAME) == by_client(message)


def test_a_broker_without_a_limit_receives_the_body_in_one_frame() -> None:
    message = Outgoing("", "q", b"x" * 300_000, Properties())
    kinds = [kind for kind, _, _, _ in split(published(CHANNEL, message, 0))]
    assert kinds == [1, 2, 3]


@pytest.mark.parametrize("multiple", [True, False])
def test_an_acknowledgement_is_written_as_the_client_writes_it(multiple: bool) -> None:
    tag = 2**40 + 3
    expected = frame.marshal(commands.Basic.Ack(delivery_tag=tag, multiple=multiple), CHANNEL)
    assert acknowledged(CHANNEL, tag, multiple=multiple) == expected


def test_a_return_to_the_queue_is_written_as_the_client_writes_it() -> None:
    expected = frame.marshal(commands.Basic.Nack(delivery_tag=9, multiple=False, requeue=True), CHANNEL)
    assert returned_to_queue(CHANNEL, 9) == expected


@given(messages)
@settings(deadline=None)
def test_a_header_is_read_as_the_client_reads_it(message: Outgoing) -> None:
    assert_read_alike(header.ContentHeader(body_size=1, properties=_amqp(message)).marshal())


@given(st.integers(0, 2**16 - 1), st.binary(max_size=80))
@settings(deadline=None, max_examples=500)
def test_whatever_bytes_are_the_properties_they_are_read_as_the_client_reads_them(flags: int, rest: bytes) -> None:
    # Of the last two flags one says that more flags follow; no client sends that.
    assert_read_alike(bytes(12) + (flags & ~0b11).to_bytes(2, "big") + rest)


@given(messages, st.data())
@settings(deadline=None)
def test_a_damaged_header_is_read_as_the_client_reads_it(message: Outgoing, data: st.DataObject) -> None:
    whole = bytearray(header.ContentHeader(body_size=1, properties=_amqp(message)).marshal())
    at = data.draw(st.integers(14, max(14, len(whole) - 1)))
    if at < len(whole):
        whole[at] = data.draw(st.integers(0, 255))
    assert_read_alike(bytes(whole))


def assert_read_alike(payload: bytes) -> None:
    try:
        expected: Any = decoded_by_client(payload)
    except Exception as error:  # noqa: BLE001 - whatever it is, ours must raise it too
        with pytest.raises(type(error)):
            _ = EncodedHeader(payload).properties
        return
    found = EncodedHeader(payload)
    assert found.properties == expected.properties
    assert found.headers == expected.headers
    assert found.content_type == expected.content_type


@given(st.lists(messages, min_size=1, max_size=3), st.binary(max_size=20))
@settings(deadline=None)
def test_frames_are_split_as_the_client_splits_them(sent: list[Outgoing], more: bytes) -> None:
    whole = b"".join(map(by_client, sent))
    expected, at = [], 0
    while at < len(whole):
        size, channel, _ = frame.unmarshal(whole[at:])
        expected.append((whole[at], channel, at + 7, at + size - 1))
        at += size
    assert list(split(whole)) == expected
    assert list(split(whole[:-1])) == expected[:-1], "the last one has not arrived whole"


@pytest.mark.parametrize(
    "data", [b"AMQP\x00\x00\x09\x01", b"\x05\x00\x01\x00\x00\x00\x00\xce", b"\x08\x00\x00\x00\x00\x00\x00\x00"]
)
def test_what_is_no_frame_is_not_split(data: bytes) -> None:
    with pytest.raises(ValueError, match="frame"):
        list(split(data))
