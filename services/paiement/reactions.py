"""What the payment service does about what it hears."""

from collections.abc import Iterator
from decimal import Decimal

from choregraphie import ReadView, Transaction, on
from contracts.commande import CommandeAnnulee
from contracts.paiement import PaiementEchoue, PaiementEffectue, PaiementRembourse
from contracts.stock import StockReserve
from services.paiement import rules, store
from services.paiement.passerelle import Passerelle, Reponse
from services.paiement.store import Compte, Debit


async def debiter(heard: StockReserve, look: ReadView, passerelle: Passerelle) -> Reponse | None:
    """Ask the gateway, unless our own books already say no."""
    compte = look.find(Compte, heard.client_id)
    if rules.refus(heard.montant, compte.solde if compte else None):
        return None
    return await passerelle.debiter(look.key(), heard.client_id, heard.montant)


def encaisser(
    heard: StockReserve, tx: Transaction, reponse: Reponse | None
) -> Iterator[PaiementEffectue | PaiementEchoue]:
    # Nothing comes before this but a cancellation; its tombstone keeps this from being carried out at all.
    # The balance is judged again: another order may have emptied the account while the gateway was asked. A
    # charge that is then not wanted is taken back with the cancellation that our refusal brings about.
    compte = tx.find(Compte, heard.client_id)
    refus = rules.refus(heard.montant, compte.solde if compte else None)
    if not refus and not (reponse and reponse.acceptee):
        refus = reponse.raison if reponse else "solde insuffisant"
    if refus or compte is None:
        yield PaiementEchoue(commande_id=heard.commande_id, raison=refus or "")
        return
    debit = Debit(heard.commande_id, tx.new_id("transaction"), heard.client_id, heard.montant)
    compte.solde -= heard.montant
    tx.add(debit)
    tx.note(transaction_id=debit.transaction_id, client_id=heard.client_id, montant=str(heard.montant))
    yield PaiementEffectue(
        commande_id=heard.commande_id, transaction_id=debit.transaction_id, montant=heard.montant
    )


async def recrediter(heard: CommandeAnnulee, look: ReadView, passerelle: Passerelle) -> None:
    """Take the charge back, whether or not we know of one: its answer may have been lost."""
    await passerelle.annuler(look.key(encaisser))


def rembourser(heard: CommandeAnnulee, tx: Transaction, _: None) -> Iterator[PaiementRembourse]:
    # A cancellation can overtake the debit it undoes: undo() then leaves a tombstone, and the late debit finds
    # it and does nothing. The answer is always given.
    fait = tx.undo(encaisser)
    debit = tx.find(Debit, heard.commande_id)
    if fait is None or debit is None:
        yield PaiementRembourse(commande_id=heard.commande_id, transaction_id=None, montant=Decimal(0))
        return
    compte = tx.find(Compte, debit.client_id)
    assert compte is not None  # noqa: S101 - accounts are never taken away
    compte.solde += debit.montant
    debit.etat = "rembourse"
    yield PaiementRembourse(
        commande_id=heard.commande_id, transaction_id=debit.transaction_id, montant=debit.montant
    )


REACTIONS = (
    on(
        StockReserve,
        encaisser,
        reads=(store.debit, store.compte_demande),
        call=debiter,
        gives_up=PaiementEchoue,
    ),
    on(
        CommandeAnnulee,
        rembourser,
        reads=(store.debit, store.compte_debite),
        call=recrediter,
        undoes=encaisser,
    ),
)
