"""The gateway and the carrier of the exhaustive search: they answer at once, and can be copied."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self

from services.scenario.externals import Mail, Reponse


@dataclass
class InstantExternals:
    """What the calls of one service have done outside; a gateway and a carrier in one, for whoever asks which."""

    answers: dict[str, Reponse] = field(default_factory=dict)
    charged: dict[str, Decimal] = field(default_factory=dict)
    sent: dict[str, Mail] = field(default_factory=dict)

    def copy(self) -> Self:
        return type(self)(dict(self.answers), dict(self.charged), dict(self.sent))

    def canon(self) -> tuple[Any, ...]:
        answers = sorted((key, answer.acceptee, answer.raison) for key, answer in self.answers.items())
        return (
            tuple(answers),
            tuple(sorted(self.charged.items())),
            tuple(sorted((key, mail.order, mail.objet) for key, mail in self.sent.items())),
        )

    def refuse_next(self, cle: str) -> bool:
        """Have the gateway say no to that debit; whether it can, not having answered yet."""
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
