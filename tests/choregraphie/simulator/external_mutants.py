"""Mutants of the services' external calls, which the simulation must detect."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from choregraphie.storage.batch import Batch
from services.notification import reactions as notification
from services.paiement import reactions as paiement
from services.paiement.passerelle import Reponse

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def _line(table: tuple[Any, ...], do: Callable[..., Any]) -> dict[str, Any]:
    """The fields of a handler, to be patched."""
    fields: dict[str, Any] = next(handler for handler in table if handler.do is do).__dict__
    return fields


def gateway_never_asked(patch: pytest.MonkeyPatch) -> None:
    """A debit is recorded, and the card is not charged."""

    async def debiter(heard: Any, view: Any, passerelle: Any) -> Reponse:
        return Reponse(acceptee=True)

    patch.setitem(_line(paiement.REACTIONS, paiement.encaisser), "call", debiter)


def charged_a_hundredfold(patch: pytest.MonkeyPatch) -> None:
    """Every card is charged a hundred times the amount."""

    async def debiter(heard: Any, view: Any, passerelle: Any) -> Any:
        return await paiement.debiter(heard.model_copy(update={"montant": heard.montant * 100}), view, passerelle)

    patch.setitem(_line(paiement.REACTIONS, paiement.encaisser), "call", debiter)


class _NullCarrier:
    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        return f"{commande_id}@clients.invalid"


def mail_never_sent(patch: pytest.MonkeyPatch) -> None:
    """The message is recorded and not sent."""

    async def envoyer(heard: Any, view: Any, courrier: Any) -> Any:
        return await notification.envoyer_confirmation(heard, view, _NullCarrier())

    patch.setitem(_line(notification.REACTIONS, notification.confirmer), "call", envoyer)


def a_key_of_each_try(patch: pytest.MonkeyPatch) -> None:
    """Each try of a message has a key of its own."""
    tries = itertools.count()

    class NewKeyEachTry:
        def __init__(self, courrier: Any) -> None:
            self._courrier = courrier

        async def envoyer(self, cle: str, *letter: str) -> str:
            said: str = await self._courrier.envoyer(f"{cle}:{next(tries)}", *letter)
            return said

    async def envoyer(heard: Any, view: Any, courrier: Any) -> Any:
        return await notification.envoyer_confirmation(heard, view, NewKeyEachTry(courrier))

    patch.setitem(_line(notification.REACTIONS, notification.confirmer), "call", envoyer)


def no_correction(patch: pytest.MonkeyPatch) -> None:
    """After a confirmation, a plain cancellation is sent."""
    patch.setattr("services.notification.rules.modele_annulation", lambda *, confirmee: "annulation")


def silent_after_a_confirmation(patch: pytest.MonkeyPatch) -> None:
    """After a confirmation, nothing is sent."""

    async def envoyer(heard: Any, view: Any, courrier: Any) -> Any:
        if view.begun(notification.confirmer):
            return None
        return await notification.envoyer_annulation(heard, view, courrier)

    def prevenir(heard: Any, tx: Any, parti: Any) -> Any:
        if parti is not None:
            yield from notification.prevenir(heard, tx, parti)
        tx.undo(notification.confirmer)

    handler = _line(notification.REACTIONS, notification.prevenir)
    patch.setitem(handler, "call", envoyer)
    patch.setitem(handler, "do", prevenir)
    # The engine rejects an undoing without an answer; this guard is removed as well.
    patch.setattr("choregraphie.storage.batch._check_undoing", lambda handler, tx, said: None)


def no_tombstone_before_the_call(patch: pytest.MonkeyPatch) -> None:
    """An undoing leaves its tombstones only after its call."""
    begin = Batch.begin

    def later(self: Batch, invocation: Any) -> Any:
        return begin(self, invocation._replace(handler=replace(invocation.handler, undoes=())))

    patch.setattr(Batch, "begin", later)


EXTERNAL_MUTANTS = {
    patch.__name__: patch
    for patch in (
        gateway_never_asked,
        charged_a_hundredfold,
        mail_never_sent,
        a_key_of_each_try,
        no_correction,
        silent_after_a_confirmation,
        no_tombstone_before_the_call,
    )
}
