"""Events about one order; a test gives only the fields that matter to it."""

from decimal import Decimal

from contracts.client import CommandeAnnulationDemandee, CommandeInitiee
from contracts.commande import CommandeAnnulee, CommandeCreee
from contracts.paiement import PaiementEchoue, PaiementEffectue
from contracts.stock import StockReservationEchouee, StockReserve

CMD = "CMD-0001"


def initiee(
    commande_id: str = CMD,
    *,
    client_id: str = "CLIENT-123",
    produit_id: str = "PROD-456",
    quantite: int = 2,
    montant: str = "99.99",
) -> CommandeInitiee:
    return CommandeInitiee(
        commande_id=commande_id,
        client_id=client_id,
        produit_id=produit_id,
        quantite=quantite,
        montant=Decimal(montant),
    )


def reserve(
    commande_id: str = CMD, *, client_id: str = "CLIENT-123", montant: str = "99.99", quantite: int = 2
) -> StockReserve:
    return StockReserve(
        commande_id=commande_id,
        reservation_id=f"R-{commande_id}",
        client_id=client_id,
        produit_id="PROD-456",
        quantite=quantite,
        montant=Decimal(montant),
    )


def sans_stock(commande_id: str = CMD) -> StockReservationEchouee:
    return StockReservationEchouee(commande_id=commande_id, raison="stock insuffisant")


def payee(commande_id: str = CMD, *, montant: str = "99.99") -> PaiementEffectue:
    return PaiementEffectue(commande_id=commande_id, transaction_id=f"T-{commande_id}", montant=Decimal(montant))


def impayee(commande_id: str = CMD) -> PaiementEchoue:
    return PaiementEchoue(commande_id=commande_id, raison="solde insuffisant")


def demande(commande_id: str = CMD) -> CommandeAnnulationDemandee:
    return CommandeAnnulationDemandee(commande_id=commande_id, raison="changement d'avis")


def creee(commande_id: str = CMD) -> CommandeCreee:
    return CommandeCreee(commande_id=commande_id)


def annulee(commande_id: str = CMD, raison: str = "changement d'avis") -> CommandeAnnulee:
    return CommandeAnnulee(commande_id=commande_id, raison=raison)
