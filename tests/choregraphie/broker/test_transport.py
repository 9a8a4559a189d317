"""The public lane's transport sends together what the client writes in a row, in order, and keeps nothing back."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiormq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from choregraphie.broker.transport import GatheringTransport, GatheringWriter, unsupported
from tests.support.free_port import free_port

# More turns of the event loop than a writer waits.
TURNS = 10


class Sink(asyncio.Transport):
    """A transport that keeps what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.ended = self.is_lost = False

    def write(self, data: Any) -> None:
        assert not self.ended
        self.sent.append(data)

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.ended or self.is_lost


@contextlib.contextmanager
def gathering() -> Iterator[tuple[GatheringWriter, Sink]]:
    loop, sink = asyncio.get_running_loop(), Sink()
    reader = asyncio.StreamReader(loop=loop)
    writer = GatheringWriter(sink, asyncio.StreamReaderProtocol(reader, loop=loop), reader, loop)
    yield writer, sink
    writer.close()


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_is_written_in_a_row_is_sent_together() -> None:
    with gathering() as (writer, sink):
        for number in range(5):
            writer.write(b"%d" % number)
            await turns(number % 3)
        writer.writelines([b"5", b"6"])
        await turns(TURNS)
        assert sink.sent == [b"01", b"23456"]


async def test_what_comes_alone_does_not_wait() -> None:
    with gathering() as (writer, sink):
        for count in range(1, 4):
            writer.write(b"alone")
            await turns(1)
            assert len(sink.sent) == count
            await turns(TURNS)
        assert len(sink.sent) == 3


async def test_much_is_sent_without_waiting_for_the_end_of_it() -> None:
    with gathering() as (writer, sink):
        for _ in range(300):
            writer.write(bytes(1024))
        assert 1 < len(sink.sent) < 10
        await turns(TURNS)
        assert sum(map(len, sink.sent)) == 300 * 1024


@pytest.mark.parametrize("end", [GatheringWriter.write_eof, GatheringWriter.close])
async def test_what_is_held_is_sent_before_the_end(end: Callable[[GatheringWriter], None]) -> None:
    with gathering() as (writer, sink):
        writer.write(b"last")
        end(writer)
        assert sink.sent == [b"last"]
        assert sink.ended
        await turns(TURNS)


async def test_what_is_written_to_a_lost_connection_is_dropped() -> None:
    with gathering() as (writer, sink):
        writer.write(b"a")
        sink.is_lost = True
        writer.write(b"b")
        await turns(TURNS)
        assert sink.sent == []


async def test_what_the_caller_changes_afterwards_is_sent_as_it_was() -> None:
    with gathering() as (writer, sink):
        changing = bytearray(b"before")
        writer.write(changing)
        changing[:] = b"after!"
        await turns(TURNS)
        assert sink.sent == [b"before"]


@given(st.lists(st.binary(max_size=40) | st.integers(0, 4) | st.just("drain"), max_size=40))
@settings(deadline=None)
def test_whenever_it_is_written_it_arrives_whole_and_in_order(steps: list[bytes | int | str]) -> None:
    """A step is bytes to write, a number of turns to wait, or a drain, after which everything has been sent."""

    async def check() -> None:
        with gathering() as (writer, sink):
            written = b""
            for step in steps:
                if isinstance(step, bytes):
                    written += step
                    writer.write(step)
                elif isinstance(step, int):
                    await turns(step)
                else:
                    await writer.drain()
                    assert b"".join(sink.sent) == written
            await turns(TURNS)
            assert b"".join(sink.sent) == written

    asyncio.run(check())


class Peer:
    """A server that reads nothing until it is allowed to."""

    def __init__(self) -> None:
        self.may_read = asyncio.Event()
        self.received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.url = URL()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.may_read.wait()
        self.received.set_result(await reader.read())
        writer.close()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    found = Peer()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = URL(f"amqp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    yield found
    server.close()


async def test_a_peer_that_does_not_read_holds_up_a_drain(peer: Peer) -> None:
    _, writer = await GatheringTransport().create(peer.url, ssl_context_provider=None)
    sent = bytes(range(256)) * 4 * 1024 * 16
    for at in range(0, len(sent), 1000):
        writer.write(sent[at : at + 1000])
    drained = asyncio.create_task(writer.drain())
    await turns(TURNS)
    assert not drained.done()
    peer.may_read.set()
    async with asyncio.timeout(60):
        await drained
        writer.close()
        assert await peer.received == sent
        await writer.wait_closed()


async def test_a_peer_that_is_away_is_the_client_s_error() -> None:
    with pytest.raises(aiormq.exceptions.AMQPConnectionError):
        await GatheringTransport().create(URL(f"amqp://127.0.0.1:{free_port()}"), ssl_context_provider=None)


@pytest.mark.parametrize(("version", "why"), [("8.0.0", "aiormq 8.0.0 is not known"), ("6.9", "aiormq 6.9")])
def test_an_unknown_client_is_given_no_transport(version: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert unsupported() is None
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    assert why in str(unsupported())


def test_a_client_that_takes_no_transport_is_given_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Connection:
        def __init__(self, url: str) -> None:
            """As in earlier versions."""

    monkeypatch.setattr(aiormq, "Connection", Connection)
    assert str(unsupported()).endswith("takes no transport")
