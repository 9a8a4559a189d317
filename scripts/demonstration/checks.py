"""Whether every order ended as it should: what was to be, against what the monitor and the services say. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from scripts.demonstration.scenarios import Kind


@dataclass(frozen=True)
class Seen:
    """What was asked at the end: `show --json` of each order, `report --json`, and `inspect all --json` as one.

    `shown` is the report as a person sees it.
    """

    orders: Mapping[str, Mapping[str, Any]]
    report: Mapping[str, Any]
    services: Mapping[str, Any]
    shown: str = ""


def mistakes(kinds: Sequence[Kind], seen: Seen) -> list[str]:
    """One line for each thing that is not as it should be; none: all is well."""
    found = [line for kind in kinds for line in wrong_with(kind, seen.orders[kind.commande_id])]
    found += _report(kinds, seen.report)
    found += _stock(kinds, seen.services["produits"])
    found += _money(kinds, seen.services["comptes"], seen.services["mouvements"])
    found += _counts(kinds, seen.services)
    return found


def wrong_with(kind: Kind, order: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with one order, as the monitor saw it."""
    facts = {
        "state": (kind.state, order["state"]),
        "flags": ([], order["flags"]),
        "remaining": ([], order["remaining"]),
        "dead letters": (0, order["dead_letters"]),
        "reason": (kind.raison, reason(order)),
        "messages": (list(kind.messages), messages(order)),
    }
    yield from _differences(kind.commande_id, facts)


def reason(order: Mapping[str, Any]) -> str | None:
    """Why it was cancelled, or None."""
    return next(iter(_notes(order, "commande.annulee")), None)


def messages(order: Mapping[str, Any]) -> list[str]:
    """What its client was sent, in order."""
    return _notes(order, "notification.envoyee")


def _notes(order: Mapping[str, Any], type_: str) -> list[str]:
    return [event["note"] for event in order["events"] if event["type"] == type_]


def _report(kinds: Sequence[Kind], report: Mapping[str, Any]) -> Iterator[str]:
    wanted = dict.fromkeys(report["sagas"], 0) | {"total": len(kinds)}
    wanted |= Counter(kind.state.lower() for kind in kinds)
    yield from _differences("report", {name: (wanted[name], found) for name, found in report["sagas"].items()})
    cancelled = sum(1 for kind in kinds if kind.raison)
    yield from _differences("report", {"compensations": (cancelled, report["compensations"])})
    yield from _differences("report", {"dead letters": ({}, report["dead_letters"])})


def _stock(kinds: Sequence[Kind], produits: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    sold: Counter[str] = Counter()
    for kind in _created(kinds):
        sold[kind.produit] += kind.quantite
    for produit, rayon in produits.items():
        facts = {
            "vendu": (sold[produit], rayon["vendu"]),
            "retenu": (0, rayon["retenu"]),
            "disponible": (rayon["initial"] - sold[produit], rayon["disponible"]),
        }
        yield from _differences(f"stock, {produit}", facts)


def _money(
    kinds: Sequence[Kind], comptes: Mapping[str, Mapping[str, Any]], mouvements: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    for client, compte in comptes.items():
        spent = sum((kind.montant for kind in _created(kinds) if kind.client == client), Decimal(0))
        facts = {"solde": (_decimal(compte["initial"]) - spent, _decimal(compte["solde"]))}
        yield from _differences(f"paiement, {client}", facts)
    taken, back = (_decimal(mouvements[name]["montant"]) for name in ("debits", "remboursements"))
    kept = sum((kind.montant for kind in _created(kinds)), Decimal(0))
    yield from _differences("paiement", {"taken and not given back": (kept, taken - back)})


def _counts(kinds: Sequence[Kind], services: Mapping[str, Any]) -> Iterator[str]:
    commandes = services["commandes"]
    created = sum(1 for _ in _created(kinds))
    wanted = {"total": len(kinds), "en_attente": 0, "creees": created, "annulees": len(kinds) - created}
    yield from _differences("commande", {name: (wanted[name], commandes[name]) for name in wanted})
    sent = Counter(message for kind in kinds for message in kind.messages)
    yield from _differences("notification", {m: (sent[m], n) for m, n in services["messages"].items()})


def _created(kinds: Sequence[Kind]) -> Iterator[Kind]:
    return (kind for kind in kinds if not kind.raison)


def _decimal(amount: Any) -> Decimal:
    return Decimal(str(amount))


def _differences(where: str, facts: Mapping[str, tuple[Any, Any]]) -> Iterator[str]:
    for what, (wanted, found) in facts.items():
        if wanted != found:
            yield f"{where}: {what} is {found}, and should be {wanted}"
