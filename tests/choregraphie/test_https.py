"""HTTPS to the management and to the card gateway: only a server that proves its name receives anything."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from choregraphie import BrokerRefused, BrokerUnavailable, OutsideUnavailable, Settings
from choregraphie.broker import ask
from scripts.nemesis.gateway import GatewayServer
from services.paiement.passerelle import Reponse, ouvrir
from services.settings import OrderSettings
from tests.support.fake_management import management_that_answers
from tests.support.tls import BAD_SERVERS, Certificates

if TYPE_CHECKING:
    from pathlib import Path

WHY = {"elsewhere": "does not name this host", "expired": "has expired", "unknown": "no authority that we know"}
AMOUNT = Decimal("49.99")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.made(tmp_path_factory.mktemp("certificates"))


def gateway(server: GatewayServer, query: str) -> OrderSettings:
    return OrderSettings(gateway=f"{server.url}/?{query}", call_timeout=60)


@pytest.mark.parametrize("server", BAD_SERVERS)
async def test_a_management_that_is_not_who_it_should_be_is_refused(
    certificates: Certificates, server: str
) -> None:
    tls = certificates.server_context(server)
    with (
        management_that_answers(b"{}", tls=tls, query=f"?{certificates.query()}") as settings,
        pytest.raises(BrokerRefused, match=rf"^SAGA_MANAGEMENT_URL, localhost:\d+: .*{WHY[server]}"),
    ):
        await ask(settings, "overview")


async def test_a_management_with_the_right_certificate_is_asked(certificates: Certificates) -> None:
    tls = certificates.server_context("server")
    with management_that_answers(b'{"x": 1}', tls=tls, query=f"?{certificates.query()}") as settings:
        assert (await ask(settings, "overview")).content == {"x": 1}


async def test_a_management_whose_authority_file_has_gone_is_unavailable(tmp_path: Path) -> None:
    """The watch of the bindings asks again later."""
    file = tmp_path / "authority.pem"
    file.write_bytes((Certificates.made(tmp_path).folder / "ca.pem").read_bytes())
    settings = Settings(management_url=f"https://guest:guest@localhost:1/?cafile={file}")
    file.unlink()
    with pytest.raises(BrokerUnavailable, match=r"^SAGA_MANAGEMENT_URL: cafile: there is no such file$"):
        await ask(settings, "overview")


@pytest.mark.parametrize("server", BAD_SERVERS)
async def test_a_gateway_that_is_not_who_it_should_be_receives_nothing(
    certificates: Certificates, server: str
) -> None:
    said = rf"^SAGA_GATEWAY, localhost:\d+: .*{WHY[server]}"
    async with (
        GatewayServer(tls=certificates.server_context(server)).running() as bank,
        ouvrir(gateway(bank, certificates.query())) as passerelle,
    ):
        with pytest.raises(OutsideUnavailable, match=said):
            await passerelle.debiter("key", "CLIENT-1", AMOUNT)
    assert not bank.requests


async def test_a_gateway_charges_for_a_client_with_a_certificate(certificates: Certificates) -> None:
    tls = certificates.server_context("server", asks=True)
    async with GatewayServer(tls=tls).running() as bank:
        async with ouvrir(gateway(bank, certificates.query("client"))) as passerelle:
            assert await passerelle.debiter("key", "CLIENT-1", AMOUNT) == Reponse(True)
        async with ouvrir(gateway(bank, certificates.query("stranger"))) as passerelle:
            # Its alert or the end of the connection, whichever comes first.
            with pytest.raises(OutsideUnavailable):
                await passerelle.debiter("another", "CLIENT-1", AMOUNT)
    assert bank.charged == {"key": 1}


def test_a_key_that_is_for_nobody_is_refused_at_the_start(certificates: Certificates) -> None:
    crossed = f"certfile={certificates.path('client.pem')}&keyfile={certificates.path('stranger.key')}"
    with pytest.raises(ValueError, match="certfile and keyfile: no certificate with its key"):
        OrderSettings(gateway=f"https://bank.example/?{crossed}")
