"""The HTTP card gateway charges a key once, whatever the network does to the answers."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING

import httpx
import pydantic
import pytest

from choregraphie import AnswerUnreadable, OutsideUnavailable
from choregraphie.settings import read_settings_as
from contracts.paiement import PaiementEchoue
from scripts.nemesis import gateway
from scripts.nemesis.gateway import GatewayServer
from services.paiement.passerelle import Reponse, ouvrir
from services.settings import OrderSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

KEY = "paiement:encaisser:CMD 1/é"
AMOUNT = Decimal("49.99")
# What says that the gateway itself is down, and not that one request failed.
DOWN = {gateway.DROP_BEFORE, gateway.DROP_AFTER, gateway.DELAY, gateway.FAIL}


@pytest.fixture
async def server() -> AsyncIterator[GatewayServer]:
    async with GatewayServer().running() as running:
        yield running


def settings(server: GatewayServer, call_timeout: float = 60) -> OrderSettings:
    return OrderSettings(gateway=server.url, call_timeout=call_timeout)


async def test_a_debit_is_accepted_and_its_key_arrives_unchanged(server: GatewayServer) -> None:
    async with ouvrir(settings(server)) as passerelle:
        assert await passerelle.debiter(KEY, "CLIENT-1", AMOUNT) == Reponse(True)
    assert server.charged == {KEY: 1}


async def test_a_refusal_has_its_reason(server: GatewayServer) -> None:
    server.refuses.add("CLIENT-1")
    async with ouvrir(settings(server)) as passerelle:
        assert await passerelle.debiter(KEY, "CLIENT-1", AMOUNT) == Reponse(False, "carte volée")
    assert not server.charged


@pytest.mark.parametrize(
    ("raison", "expected"),
    [
        ("declined\nsee issuer", "declined see issuer"),
        ("  \t declined \u200b\u2028 ", "declined"),
        ("\x1b[2Jdeclined\x9b\u202e", "[2Jdeclined"),
        ("é" * 299 + " é", "é" * 299),
        ("é" * 1000, "é" * 300),
        *((nothing, "carte refusée") for nothing in ("", " ", "\x00", None, 51, ["no"])),
    ],
)
async def test_a_refusal_stays_one_whatever_its_reason_looks_like(
    server: GatewayServer, raison: object, expected: str
) -> None:
    server.refuses.add("CLIENT-1")
    server.raison = raison
    async with ouvrir(settings(server)) as passerelle:
        assert await passerelle.debiter(KEY, "CLIENT-1", AMOUNT) == Reponse(False, expected)
    assert PaiementEchoue(commande_id="C", raison=expected).raison == expected


@pytest.mark.parametrize(
    "behaviour",
    [
        gateway.DROP_BEFORE,
        gateway.DROP_AFTER,
        gateway.DELAY,
        gateway.FAIL,
        gateway.NONSENSE,
        gateway.ENDLESS,
        gateway.BOMB,
        gateway.REDIRECT,
    ],
)
async def test_an_unknown_outcome_raises_and_asking_again_with_the_key_charges_once(
    server: GatewayServer, behaviour: str
) -> None:
    server.behaviours = deque([behaviour])
    server.delay_seconds = 60
    async with ouvrir(settings(server, call_timeout=2 if behaviour == gateway.DELAY else 60)) as passerelle:
        with pytest.raises(
            (OutsideUnavailable, httpx.HTTPError, AnswerUnreadable, pydantic.ValidationError)
        ) as raised:
            await passerelle.debiter(KEY, "CLIENT-1", AMOUNT)
        assert await passerelle.debiter(KEY, "CLIENT-1", AMOUNT) == Reponse(True)
    assert isinstance(raised.value, OutsideUnavailable) is (behaviour in DOWN)
    assert server.charged == {KEY: 1}
    assert server.requests == [("PUT", KEY)] * 2


async def test_an_answer_that_is_too_long_is_not_kept(server: GatewayServer) -> None:
    server.behaviours = deque([gateway.ENDLESS, gateway.BOMB])
    async with ouvrir(settings(server)) as passerelle:
        for _ in range(2):
            with pytest.raises(AnswerUnreadable, match=r"^the answer is longer than 65536 bytes$"):
                await passerelle.debiter(KEY, "CLIENT-1", AMOUNT)


async def test_an_answer_that_comes_by_the_byte_ends_with_the_call_and_leaves_no_connection(
    server: GatewayServer,
) -> None:
    """More calls than there are connections. The engine bounds a call in total, as this test does."""
    few = OrderSettings(gateway=server.url, calls=2)
    server.behaviours = deque([gateway.DRIP] * 3)
    async with ouvrir(few) as passerelle:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await passerelle.debiter(KEY, "CLIENT-1", AMOUNT)
        assert await passerelle.debiter(KEY, "CLIENT-1", AMOUNT) == Reponse(True)


async def test_an_answer_in_gzip_is_read_all_the_same(server: GatewayServer) -> None:
    server.behaviours = deque([gateway.ZIPPED])
    async with ouvrir(settings(server)) as passerelle:
        assert await passerelle.debiter(KEY, "CLIENT-1", AMOUNT) == Reponse(True)


async def test_an_answer_that_comes_twice_is_taken_once(server: GatewayServer) -> None:
    server.behaviours = deque([gateway.REPEAT])
    async with ouvrir(settings(server)) as passerelle:
        assert await passerelle.debiter(KEY, "CLIENT-1", AMOUNT) == Reponse(True)
        await passerelle.annuler("another key")
        assert await passerelle.debiter("a third", "CLIENT-1", AMOUNT) == Reponse(True)
    assert server.charged == {KEY: 1, "a third": 1}


async def test_a_cancelled_key_is_not_charged_any_more(server: GatewayServer) -> None:
    async with ouvrir(settings(server)) as passerelle:
        await passerelle.annuler(KEY)
        assert await passerelle.debiter(KEY, "CLIENT-1", AMOUNT) == Reponse(False, "débit annulé")
    assert not server.charged


async def test_a_missing_gateway_raises() -> None:
    async with ouvrir(OrderSettings(gateway="http://127.0.0.1:9")) as passerelle:
        with pytest.raises(OutsideUnavailable, match=r"^ConnectError "):
            await passerelle.debiter(KEY, "CLIENT-1", AMOUNT)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_gateway_that_does_not_let_us_in_has_its_url_read_again_from_its_file(
    server: GatewayServer, tmp_path: Path, status: int
) -> None:
    users: list[str] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        users.append(head.lower().partition("authorization: basic ")[2].partition("\r\n")[0])
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    closed = await asyncio.start_server(refuse, "127.0.0.1", 0)
    place, secret = f"127.0.0.1:{closed.sockets[0].getsockname()[1]}", tmp_path / "gateway"
    secret.write_text(f"http://shop:first@{place}")
    async with closed, ouvrir(read_settings_as(OrderSettings, {"SAGA_GATEWAY_FILE": str(secret)})) as passerelle:
        for content in ("", "nonsense", "simulated", f"http://shop:second@{place}", server.url):
            secret.write_text(content)
            with pytest.raises(httpx.HTTPStatusError) as refused:
                await passerelle.debiter(KEY, "CLIENT-1", AMOUNT)
            # The text of an error becomes a header of the message and a field of a log line.
            assert str(refused.value) == f"the gateway answers {status}"
        assert await passerelle.debiter(KEY, "CLIENT-1", AMOUNT) == Reponse(True)
    first, second = (b64encode(f"shop:{word}".encode()).decode().lower() for word in ("first", "second"))
    assert users == [first] * 4 + [second]
