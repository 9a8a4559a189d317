"""The card gateway: a protocol, and a simulated one with dice that are off by default."""

import asyncio
import random
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


class PasserelleSimulee:
    """A gateway in memory. `failure_rate` loses answers, half of them after the charge, as real ones do."""

    def __init__(
        self, latency: float, refusal_rate: float, failure_rate: float, dice: random.Random | None = None
    ) -> None:
        self._latency = latency
        self._refusal_rate = refusal_rate
        self._failure_rate = failure_rate
        self._dice = dice or random.Random()  # noqa: S311 - a simulation
        self._answers: dict[str, Reponse] = {}

    async def debiter(self, cle: str, client_id: str, montant: Decimal) -> Reponse:
        await self._travel()
        lost = self._dice.random() < self._failure_rate
        if lost and self._dice.random() < 0.5:
            raise ConnectionError("the gateway did not answer")
        if cle not in self._answers:
            refused = self._dice.random() < self._refusal_rate
            self._answers[cle] = Reponse(not refused, "carte refusée" if refused else "")
        if lost:
            raise ConnectionError("the gateway's answer was lost")
        return self._answers[cle]

    async def annuler(self, cle: str) -> None:
        await self._travel()
        if self._dice.random() < self._failure_rate:
            raise ConnectionError("the gateway did not answer")
        self._answers[cle] = Reponse(False, "débit annulé")

    async def _travel(self) -> None:
        if self._latency:
            await asyncio.sleep(self._latency * self._dice.uniform(0.5, 1.5))
