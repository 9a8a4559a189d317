"""TLS to the broker: an untrusted certificate is refused in one line, and there is no fallback to clear text."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from choregraphie import BrokerRefused, BrokerUnavailable, Settings
from choregraphie.broker import connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    SettingsFor = Callable[[int], Settings]

LONG_AGO = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)


class Listener:
    """A TLS server with a given certificate. It keeps the first decrypted bytes of each client."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self, certificate: trustme.LeafCert) -> AsyncIterator[Listener]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(context)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.received.append(await reader.read(8))
        writer.close()


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    return ca


@pytest.fixture(params=["lean", "public"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> SettingsFor:
    """The settings for a port of `localhost`, on each lane."""
    query = f"cafile={tmp_path / 'authority.pem'}"
    return lambda port: Settings(amqp_url=f"amqps://u:p@localhost:{port}/?{query}", lane=request.param)


async def test_a_trusted_broker_receives_amqp_inside_tls(authority: trustme.CA, settings: SettingsFor) -> None:
    async with Listener().running(authority.issue_cert("localhost")) as listener:
        with pytest.raises(BrokerUnavailable):  # the listener is no broker and closes the connection
            await _connect(settings(listener.port))
    assert listener.received == [b"AMQP\x00\x00\x09\x01"]


async def test_an_expired_certificate_is_refused(authority: trustme.CA, settings: SettingsFor) -> None:
    expired = authority.issue_cert("localhost", not_before=LONG_AGO, not_after=LONG_AGO + dt.timedelta(days=1))
    await _refused(expired, settings)


@pytest.mark.usefixtures("authority")
async def test_an_unknown_authority_is_refused(settings: SettingsFor) -> None:
    await _refused(trustme.CA().issue_cert("localhost"), settings)


async def test_a_certificate_for_another_name_is_refused(authority: trustme.CA, settings: SettingsFor) -> None:
    await _refused(authority.issue_cert("elsewhere.invalid"), settings)


@pytest.fixture(params=["lean", "public"])
def clear(request: pytest.FixtureRequest) -> SettingsFor:
    """The same without TLS."""
    return lambda port: Settings(amqp_url=f"amqp://u:p@localhost:{port}/", lane=request.param)


async def test_a_clear_text_url_of_a_tls_port_is_refused(authority: trustme.CA, clear: SettingsFor) -> None:
    async with Listener().running(authority.issue_cert("localhost")) as listener:
        with pytest.raises(BrokerRefused) as caught:
            await _connect(clear(listener.port))
    place = f"u at localhost:{listener.port}"
    assert str(caught.value) == f"SAGA_AMQP_URL, {place}: it speaks TLS there; write amqps:// in the URL"
    assert listener.received == []


@contextlib.asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """The port of a server without TLS that answers each connection with these bytes and closes it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["nothing", "HTTP"])
async def test_a_server_that_ends_connections_is_away(answer: bytes, clear: SettingsFor) -> None:
    async with answering(answer) as port:
        with pytest.raises(BrokerUnavailable):
            await _connect(clear(port))


@pytest.mark.usefixtures("authority")
async def test_a_tls_url_of_a_clear_text_port_is_refused(settings: SettingsFor) -> None:
    """A broker answers what is no AMQP with the version that it speaks."""
    async with answering(b"AMQP\x00\x00\x09\x01") as port:
        with pytest.raises(BrokerRefused, match=r"it does not speak TLS there; name its TLS port$"):
            await _connect(settings(port))


async def _refused(certificate: trustme.LeafCert, settings: SettingsFor) -> None:
    async with Listener().running(certificate) as listener:
        with pytest.raises(BrokerRefused, match="certificate"):
            await _connect(settings(listener.port))
    assert listener.received == []


async def _connect(given: Settings) -> None:
    async with connected(given, "test"):
        pass
