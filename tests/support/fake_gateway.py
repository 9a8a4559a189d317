"""A card gateway whose mood a test sets, and whose charges it can look at."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from services.paiement.passerelle import Reponse

Mood = Literal["accepts", "refuses", "silent", "loses the answer"]


class FakeGateway:
    """Idempotent by key, as the protocol asks. `moods` are taken one a debit; the last one stays."""

    def __init__(self, moods: Iterable[Mood] = ("accepts",)) -> None:
        self._moods = list(moods)
        self.charged: dict[str, Decimal] = {}
        self.asked: list[str] = []
        self.cancelled: list[str] = []

    async def debiter(self, cle: str, client_id: str, montant: Decimal) -> Reponse:
        self.asked.append(cle)
        mood = self._moods.pop(0) if len(self._moods) > 1 else self._moods[0]
        if mood == "silent":
            raise ConnectionError("the terminal did not answer")
        if mood == "refuses" or cle in self.cancelled:
            return Reponse(False, "carte refusée")
        self.charged[cle] = montant
        if mood == "loses the answer":
            raise TimeoutError("the terminal's answer was lost")
        return Reponse(True)

    async def annuler(self, cle: str) -> None:
        self.cancelled.append(cle)
        self.charged.pop(cle, None)
