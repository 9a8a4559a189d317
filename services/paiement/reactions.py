"""The reactions of the payment service: take the money, give it back."""

from collections.abc import Iterator
from decimal import Decimal

from choregraphie import ReadView, RetryOverride, Transaction, on
from contracts.commande import CommandeAnnulee
from contracts.commands import PaiementDebiter, PaiementRembourser
from contracts.paiement import PaiementEchoue, PaiementEffectue, PaiementRembourse
from contracts.stock import StockReserve
from services.paiement import rules, store
from services.paiement.passerelle import PASSERELLE, Passerelle, Reponse
from services.paiement.store import Compte, Debit


async def debiter(heard: StockReserve | PaiementDebiter, view: ReadView, passerelle: Passerelle) -> Reponse | None:
    """Ask the gateway for the charge, unless the balance is already too low; None then."""
    compte = view.find(Compte, heard.client_id)
    if rules.refus(heard.montant, compte.solde if compte else None):
        return None
    return await passerelle.debiter(view.idempotency_key(), heard.client_id, heard.montant)


def encaisser(
    heard: StockReserve | PaiementDebiter, tx: Transaction, reponse: Reponse | None
) -> Iterator[PaiementEffectue | PaiementEchoue]:
    # Only a cancellation can come before this; its tombstone then prevents this reaction.
    # The balance is checked again: another order may have emptied the account during the gateway's call. The
    # charge is then refunded by the cancellation that this refusal brings about.
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


async def recrediter(heard: CommandeAnnulee | PaiementRembourser, view: ReadView, passerelle: Passerelle) -> None:
    """Refund the charge, whether or not one is known: its answer may have been lost."""
    await passerelle.annuler(view.idempotency_key(encaisser))


def rembourser(
    heard: CommandeAnnulee | PaiementRembourser, tx: Transaction, _: None
) -> Iterator[PaiementRembourse]:
    # A cancellation can overtake the debit it undoes: undo() then leaves a tombstone, and the late debit finds
    # it and does nothing. The service answers in either case.
    fait = tx.undo(encaisser)
    debit = tx.find(Debit, heard.commande_id)
    if fait is None or debit is None:
        yield PaiementRembourse(commande_id=heard.commande_id, transaction_id=None, montant=Decimal(0))
        return
    compte = tx.find(Compte, debit.client_id)
    assert compte is not None  # noqa: S101 - accounts are never deleted
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
        breaker=PASSERELLE,
        gives_up=PaiementEchoue,
    ),
    on(
        CommandeAnnulee,
        rembourser,
        reads=(store.debit, store.compte_debite),
        call=recrediter,
        breaker=PASSERELLE,
        undoes=encaisser,
    ),
)

ORCHESTRATION = (
    on(
        PaiementDebiter,
        encaisser,
        reads=(store.debit, store.compte_demande),
        call=debiter,
        breaker=PASSERELLE,
        gives_up=PaiementEchoue,
        retry=RetryOverride(tries=3, delay=1),
    ),
    on(
        PaiementRembourser,
        rembourser,
        reads=(store.debit, store.compte_debite),
        call=recrediter,
        breaker=PASSERELLE,
        undoes=encaisser,
    ),
)
