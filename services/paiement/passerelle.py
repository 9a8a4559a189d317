"""The card gateway: a protocol, and a simulated one with dice that are off by default."""

import asyncio
import random
from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True)
class Reponse:
    """What the gateway answers to a debit: accepted, or refused and why."""

    acceptee: bool
    raison: str = ""


class Passerelle(Protocol):
    """A gateway is idempotent by key: asking again with a key gets the first answer and charges nobody twice."""

    async def debiter(self, cle: str, client_id: str, montant: Decimal) -> Reponse:
        """Charge the client's card. Raises whatever the network raises; the outcome is then unknown."""

    async def annuler(self, cle: str) -> None:
        """Take back the charge of that key. One never charged is refused from now on: a cancellation that
        overtakes its charge must win."""


# A charge that comes after its cancellation is not even asked for: the service's books bar it. Only one that was
# under way meanwhile can still arrive, within seconds.
CANCELLED_KEPT = 10_000


class PasserelleSimulee:
    """A gateway in memory. `failure_rate` loses answers, and nobody can tell whether the charge was made.

    Whether a card is refused follows from the key alone, so no charge need be remembered to be answered again.
    """

    def __init__(
        self, latency: float, refusal_rate: float, failure_rate: float, rng: random.Random | None = None
    ) -> None:
        self._latency = latency
        self._refusal_rate = refusal_rate
        self._failure_rate = failure_rate
        self._dice = rng or random.Random()  # noqa: S311 - a simulation
        self._cancelled: OrderedDict[str, None] = OrderedDict()

    async def debiter(self, cle: str, client_id: str, montant: Decimal) -> Reponse:
        await self._travel()
        self._may_fail()
        if cle in self._cancelled:
            return Reponse(False, "débit annulé")
        refused = random.Random(cle).random() < self._refusal_rate  # noqa: S311 - a simulation
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
            await asyncio.sleep(self._latency * self._dice.uniform(0.5, 1.5))

    def _may_fail(self) -> None:
        if self._dice.random() < self._failure_rate:
            raise ConnectionError("the gateway did not answer")
