"""The card gateway and the mail carrier, simulated, as the services' calls see them.

Both are idempotent by key, as their protocols ask, and outlive every worker. `Gateway` and `Carrier` suffer faults
and take virtual time; `InstantExternals`, for the exhaustive search, answers at once and can be copied.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self

from choregraphie.simulator.randomness import Fault, Randomness
from choregraphie.simulator.trace import Trace

OUTAGE_SECONDS = 0.5
_LATE_SECONDS = 60.0  # longer than any timeout of a call
_TRAVEL_SECONDS = (0.0, 0.0, 0.0, 0.05)


@dataclass(frozen=True)
class Reponse:
    """The gateway's answer, as `services.paiement` reads it."""

    acceptee: bool
    raison: str = ""


@dataclass(frozen=True)
class Mail:
    """A message that was sent."""

    order: str
    objet: str


class _Remote:
    def __init__(self, name: str, randomness: Randomness, trace: Trace) -> None:
        self._name = name
        self._randomness = randomness
        self._trace = trace
        self._asked: Counter[str] = Counter()

    async def _reach(self, what: str) -> str:
        """Send the request. Returns the name of this try. Raises ConnectionError when it does not arrive."""
        self._asked[what] += 1
        this = f"{what}:{self._asked[what]}"
        if seconds := self._randomness.choice(_TRAVEL_SECONDS, "travel", this):
            await asyncio.sleep(seconds)
        window = int(asyncio.get_running_loop().time() / OUTAGE_SECONDS)
        away = self._randomness.occurs(Fault.OUTAGE, self._name, window)
        if away or self._randomness.occurs(Fault.CALL_FAILED, this):
            self._trace.note(self._name, f"is not reached: {what}")
            raise ConnectionError("it did not answer")
        return this

    async def _answer(self, this: str) -> None:
        """Send the answer. Raises ConnectionError when it is lost."""
        if self._randomness.occurs(Fault.ANSWER_LOST, this):
            self._trace.note(self._name, f"did it, and its answer is lost: {this}")
            raise ConnectionError("its answer was lost")
        if self._randomness.occurs(Fault.ANSWER_LATE, this):
            self._trace.note(self._name, f"did it, and its answer is late: {this}")
            await asyncio.sleep(_LATE_SECONDS)


class Gateway(_Remote):
    """The card gateway. `charged`: the amounts charged and not refunded, by key."""

    def __init__(self, randomness: Randomness, trace: Trace) -> None:
        super().__init__("gateway", randomness, trace)
        self._answers: dict[str, Reponse] = {}
        self.charged: dict[str, Decimal] = {}

    async def debiter(self, cle: str, client_id: str, montant: Decimal) -> Reponse:
        this = await self._reach(f"debit {cle}")
        if cle not in self._answers:
            refused = self._randomness.occurs(Fault.CARD_REFUSED, cle)
            self._answers[cle] = Reponse(not refused, "carte refusée" if refused else "")
            if not refused:
                self.charged[cle] = montant
        await self._answer(this)
        return self._answers[cle]

    async def annuler(self, cle: str) -> None:
        this = await self._reach(f"cancel {cle}")
        self._answers[cle] = Reponse(False, "débit annulé")
        self.charged.pop(cle, None)
        await self._answer(this)


class Carrier(_Remote):
    """The mail carrier. `sent`: the messages sent, by key."""

    def __init__(self, randomness: Randomness, trace: Trace) -> None:
        super().__init__("carrier", randomness, trace)
        self.sent: dict[str, Mail] = {}

    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        this = await self._reach(f"mail {cle}")
        self.sent.setdefault(cle, Mail(commande_id, objet))
        await self._answer(this)
        return f"{commande_id}@clients.invalid"


@dataclass
class InstantExternals:
    """The effects of the calls of one service: a gateway and a carrier in one, whichever it asks."""

    answers: dict[str, Reponse] = field(default_factory=dict)
    charged: dict[str, Decimal] = field(default_factory=dict)
    sent: dict[str, Mail] = field(default_factory=dict)

    def copy(self) -> Self:
        return type(self)(dict(self.answers), dict(self.charged), dict(self.sent))

    def canonical(self) -> tuple[Any, ...]:
        answers = sorted((key, answer.acceptee, answer.raison) for key, answer in self.answers.items())
        return (
            tuple(answers),
            tuple(sorted(self.charged.items())),
            tuple(sorted((key, mail.order, mail.objet) for key, mail in self.sent.items())),
        )

    def refuse_next(self, cle: str) -> bool:
        """Let the gateway refuse that debit. Returns whether it could: it keeps an answer already given."""
        if cle in self.answers or not cle.startswith("paiement:encaisser"):
            return False
        self.answers[cle] = Reponse(False, "carte refusée")
        return True

    async def debiter(self, cle: str, client_id: str, montant: Decimal) -> Reponse:
        if cle not in self.answers:
            self.answers[cle] = Reponse(True)
            self.charged[cle] = montant
        return self.answers[cle]

    async def annuler(self, cle: str) -> None:
        self.answers[cle] = Reponse(False, "débit annulé")
        self.charged.pop(cle, None)

    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        self.sent.setdefault(cle, Mail(commande_id, objet))
        return f"{commande_id}@clients.invalid"
