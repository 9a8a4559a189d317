"""Opens the card gateway that the settings name, for the life of a worker."""

import contextlib
from collections.abc import AsyncIterator

import httpx

from choregraphie import BadSetting, Settings
from services.paiement.passerelle import Passerelle, PasserelleSimulee
from services.paiement.passerelle_http import PasserelleHttp


@contextlib.asynccontextmanager
async def ouvrir(settings: Settings) -> AsyncIterator[Passerelle]:
    """The simulated gateway, or the one at the URL of `SAGA_GATEWAY`."""
    if settings.gateway == "simulated":
        yield PasserelleSimulee(
            settings.gateway_latency, settings.gateway_refusal_rate, settings.gateway_failure_rate
        )
        return
    limits = httpx.Limits(max_connections=settings.calls)
    async with httpx.AsyncClient(
        base_url=settings.gateway,
        timeout=settings.call_timeout,
        limits=limits,
        follow_redirects=False,
        # Its answers are a line; what is not compressed cannot be small on the way and large here.
        headers={"accept-encoding": "identity"},
    ) as client:
        yield PasserelleHttp(client, lambda: _newer_url(settings))


def _newer_url(settings: Settings) -> str:
    """The gateway's URL that its file holds now, when it is another one; else empty."""

    def check(gateway: str) -> None:
        if gateway == "simulated":
            raise BadSetting("SAGA_GATEWAY: a gateway is exchanged for the simulated one only by a restart")

    return str(settings.current("gateway")) if settings.read_again("gateway", check) else ""
