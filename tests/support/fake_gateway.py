"""A card gateway whose answers a test sets, and whose charges it can read."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from services.paiement.passerelle import Reponse

Answer = Literal["accepts", "refuses", "silent", "loses the answer"]


class FakeGateway:
    """Idempotent by key, as the protocol asks. Each charge takes one of `answers`; the last one is kept."""

    def __init__(self, answers: Iterable[Answer] = ("accepts",)) -> None:
        self._answers = list(answers)
        self.charged: dict[str, Decimal] = {}
        self.asked: list[str] = []
        self.cancelled: list[str] = []

    async def debiter(self, cle: str, client_id: str, montant: Decimal) -> Reponse:
        self.asked.append(cle)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer == "silent":
            raise ConnectionError("the terminal did not answer")
        if answer == "refuses" or cle in self.cancelled:
            return Reponse(False, "carte refusée")
        self.charged[cle] = montant
        if answer == "loses the answer":
            raise TimeoutError("the terminal's answer was lost")
        return Reponse(True)

    async def annuler(self, cle: str) -> None:
        self.cancelled.append(cle)
        self.charged.pop(cle, None)
