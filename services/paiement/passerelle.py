"""The card gateway: its protocol, a simulated one, one over HTTP, and which of them the settings name.

Over HTTP a gateway answers two requests, both idempotent by key:

    PUT    /debits/KEY   {"client_id", "montant"}   200 {"acceptee": true}, or {"acceptee": false, "raison"}
    DELETE /debits/KEY                              204; a debit with this key is refused from then on

After any other answer, or none in time, the outcome is unknown; the engine asks again with the same key.
"""

import asyncio
import contextlib
import random
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Protocol
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict

from choregraphie import BadSetting, CircuitBreaker, OutsideUnavailable, distrust, https_address, read_answer
from services.settings import OrderSettings

if TYPE_CHECKING:
    import httpx


PASSERELLE = CircuitBreaker("the card gateway")
# The answers of a gateway, or of a proxy before it, that is down: RFC 9110, 15.6.
_DOWN = {502, 503, 504}


class ReponsePerdue(Exception):
    """The answer to one request was lost. It says nothing about the others."""


@dataclass(frozen=True)
class Reponse:
    """The gateway's answer to a debit: accepted, or refused and why."""

    acceptee: bool
    raison: str = ""


class Passerelle(Protocol):
    """A card gateway, idempotent by key: a second request with a key gets the first answer and charges nothing."""

    async def debiter(self, cle: str, client_id: str, montant: Decimal) -> Reponse:
        """Charge the client's card. After any exception the outcome is unknown."""

    async def annuler(self, cle: str) -> None:
        """Refund the charge of that key, and refuse the key from now on.

        A key never charged is refused as well: a cancellation that overtakes its charge must win.
        """


# Enough to remember: the service's own journal stops a charge that comes after its cancellation, so only one that
# was under way meanwhile can still arrive, within seconds.
CANCELLED_KEPT = 10_000


class PasserelleSimulee:
    """A gateway in memory.

    latency       the mean time of a request, in seconds
    refusal_rate  the share of debits that are refused; it follows from the key alone, so nothing is remembered
    failure_rate  the share of requests without an answer: the caller cannot tell whether the charge was made
    """

    def __init__(
        self, latency: float, refusal_rate: float, failure_rate: float, rng: random.Random | None = None
    ) -> None:
        self._latency = latency
        self._refusal_rate = refusal_rate
        self._failure_rate = failure_rate
        self._rng = rng or random.Random()  # noqa: S311 - a simulation
        self._cancelled: OrderedDict[str, None] = OrderedDict()

    async def debiter(self, cle: str, client_id: str, montant: Decimal) -> Reponse:
        await self._travel()
        self._may_fail()
        if cle in self._cancelled:
            return Reponse(False, "débit annulé")
        refused = self._refusal_rate > 0 and random.Random(cle).random() < self._refusal_rate  # noqa: S311 - a simulation
        return Reponse(not refused, "carte refusée" if refused else "")

    async def annuler(self, cle: str) -> None:
        await self._travel()
        self._may_fail()
        self._cancelled[cle] = None
        self._cancelled.move_to_end(cle)
        if len(self._cancelled) > CANCELLED_KEPT:
            self._cancelled.popitem(last=False)

    async def _travel(self) -> None:
        if self._latency:
            await asyncio.sleep(self._latency * self._rng.uniform(0.5, 1.5))

    def _may_fail(self) -> None:
        if self._rng.random() < self._failure_rate:
            raise ReponsePerdue("the gateway did not answer")


REFUSED = "carte refusée"
LONGEST_REASON = 300


def _sayable(raison: object) -> str:
    """The reason as an event may carry it: one line of printable text, not empty, at most LONGEST_REASON long."""
    # A reason of any wording is accepted: rejecting the answer for it would ask again for a card that was plainly
    # refused, until the order needs a person.
    text = raison if isinstance(raison, str) else ""
    printable = "".join(c for c in text if c.isprintable() or c.isspace())
    return " ".join(printable.split())[:LONGEST_REASON].rstrip() or REFUSED


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, hide_input_in_errors=True)

    acceptee: bool
    raison: Annotated[str, BeforeValidator(_sayable)] = REFUSED


class PasserelleHttp:
    """A gateway over HTTP. `client` carries its base URL and timeout.

    When the gateway refuses the credentials, `newer` gives the URL to use from then on; empty, it changes nothing.
    """

    def __init__(self, client: "httpx.AsyncClient", newer: Callable[[], str] = str) -> None:
        self._client = client
        self._newer = newer

    async def debiter(self, cle: str, client_id: str, montant: Decimal) -> Reponse:
        """Charge the card, once per key.

        Raises OutsideUnavailable when the gateway is down; httpx.HTTPError, AnswerUnreadable or
        pydantic.ValidationError when something else leaves the outcome unknown.
        """
        wanted = {"client_id": client_id, "montant": str(montant)}
        async with self._ask("PUT", cle, json=wanted) as answer:
            read = _Answer.model_validate_json(await read_answer(answer))
        return Reponse(read.acceptee, "" if read.acceptee else read.raison)

    async def annuler(self, cle: str) -> None:
        """Refund the charge of that key. Raises as `debiter` when the outcome is unknown."""
        async with self._ask("DELETE", cle) as answer:
            await read_answer(answer)  # the connection can be reused only after the whole answer was read

    @contextlib.asynccontextmanager
    async def _ask(self, method: str, cle: str, **content: Any) -> AsyncIterator["httpx.Response"]:
        from httpx import TransportError

        try:
            async with self._client.stream(method, f"/debits/{quote(cle, safe='')}", **content) as answer:
                self._check(answer)
                yield answer
        except TransportError as error:
            url = self._client.base_url
            untrusted = distrust(error)
            why = f"SAGA_GATEWAY, {url.host}:{url.port or 443}: {untrusted}" if untrusted else ""
            raise OutsideUnavailable(why or f"{type(error).__name__} {error}".strip()) from error

    def _check(self, answer: "httpx.Response") -> None:
        if answer.status_code in {401, 403} and (url := self._newer()):
            self._client.base_url = url
        if answer.status_code in _DOWN:
            raise OutsideUnavailable(f"it answers {answer.status_code}")
        if not answer.is_success:
            from httpx import HTTPStatusError

            # Not the text of httpx: it has the URL, whose password would be in logs and in headers of the message.
            why = f"the gateway answers {answer.status_code}"
            raise HTTPStatusError(why, request=answer.request, response=answer)


@contextlib.asynccontextmanager
async def ouvrir(settings: OrderSettings) -> AsyncIterator[Passerelle]:
    """The gateway that `SAGA_GATEWAY` names, `simulated` or a URL, for the life of a worker."""
    if settings.gateway == "simulated":
        yield PasserelleSimulee(
            settings.gateway_latency, settings.gateway_refusal_rate, settings.gateway_failure_rate
        )
        return
    import httpx  # here: its import takes longer than all of a service's own

    limits = httpx.Limits(max_connections=settings.calls)
    base_url, verify = https_address(settings.gateway)
    async with httpx.AsyncClient(
        base_url=base_url,
        verify=verify,
        timeout=settings.call_timeout,
        limits=limits,
        follow_redirects=False,
        # Answers are short; without compression none can grow when it is decoded.
        headers={"accept-encoding": "identity"},
    ) as client:
        yield PasserelleHttp(client, lambda: _newer_url(settings))


def _newer_url(settings: OrderSettings) -> str:
    """The URL of the gateway that its file holds now if it has changed, else an empty text."""

    def check(gateway: str) -> None:
        if gateway == "simulated":
            raise BadSetting("SAGA_GATEWAY: a gateway changes to the simulated one only with a restart")

    if not settings.read_again("gateway", check):
        return ""
    # The certificates are those of the start.
    return https_address(settings.current("gateway"))[0]
