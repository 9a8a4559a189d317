"""Compares the final state of every order with the expected one. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from scripts.demonstration.scenarios import Scenario


@dataclass(frozen=True)
class FinalState:
    """The final state: `show --json` of each order, `report --json`, and `inspect all --json` merged into one.

    `shown`: the report as text.
    """

    orders: Mapping[str, Mapping[str, Any]]
    report: Mapping[str, Any]
    services: Mapping[str, Any]
    shown: str = ""


def differences(scenarios: Sequence[Scenario], final_state: FinalState) -> list[str]:
    """One line per difference from the expected state; empty when there is none."""
    found = [
        line
        for scenario in scenarios
        for line in differences_of(scenario, final_state.orders[scenario.commande_id])
    ]
    found += _report(scenarios, final_state.report)
    found += _stock(scenarios, final_state.services["produits"])
    found += _money(scenarios, final_state.services["comptes"], final_state.services["mouvements"])
    found += _counts(scenarios, final_state.services)
    return found


def differences_of(scenario: Scenario, order: Mapping[str, Any]) -> Iterator[str]:
    """The differences of one order, as the monitor saw it."""
    facts = {
        "state": (scenario.state, order["state"]),
        "flags": ([], order["flags"]),
        "remaining": ([], order["remaining"]),
        "dead letters": (0, order["dead_letters"]),
        "reason": (scenario.raison, reason(order)),
        "messages": (list(scenario.messages), messages(order)),
    }
    yield from _compared(scenario.commande_id, facts)


def reason(order: Mapping[str, Any]) -> str | None:
    """The reason of its cancellation, or None."""
    return next(iter(_notes(order, "commande.annulee")), None)


def messages(order: Mapping[str, Any]) -> list[str]:
    """The mails that its client got, in order."""
    return _notes(order, "notification.envoyee")


def _notes(order: Mapping[str, Any], type_: str) -> list[str]:
    return [event["note"] for event in order["events"] if event["type"] == type_]


def _report(scenarios: Sequence[Scenario], report: Mapping[str, Any]) -> Iterator[str]:
    wanted = dict.fromkeys(report["sagas"], 0) | {"total": len(scenarios)}
    wanted |= Counter(scenario.state.lower() for scenario in scenarios)
    yield from _compared("report", {name: (wanted[name], found) for name, found in report["sagas"].items()})
    cancelled = sum(1 for scenario in scenarios if scenario.raison)
    yield from _compared("report", {"compensations": (cancelled, report["compensations"])})
    yield from _compared("report", {"dead letters": ({}, report["dead_letters"])})


def _stock(scenarios: Sequence[Scenario], produits: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    sold: Counter[str] = Counter()
    for scenario in _created(scenarios):
        sold[scenario.produit] += scenario.quantite
    for produit, rayon in produits.items():
        facts = {
            "vendu": (sold[produit], rayon["vendu"]),
            "retenu": (0, rayon["retenu"]),
            "disponible": (rayon["initial"] - sold[produit], rayon["disponible"]),
        }
        yield from _compared(f"stock, {produit}", facts)


def _money(
    scenarios: Sequence[Scenario],
    comptes: Mapping[str, Mapping[str, Any]],
    mouvements: Mapping[str, Mapping[str, Any]],
) -> Iterator[str]:
    for client, compte in comptes.items():
        spent = sum(
            (scenario.montant for scenario in _created(scenarios) if scenario.client == client), Decimal(0)
        )
        facts = {"solde": (_decimal(compte["initial"]) - spent, _decimal(compte["solde"]))}
        yield from _compared(f"paiement, {client}", facts)
    taken, back = (_decimal(mouvements[name]["montant"]) for name in ("debits", "remboursements"))
    kept = sum((scenario.montant for scenario in _created(scenarios)), Decimal(0))
    yield from _compared("paiement", {"taken and not given back": (kept, taken - back)})


def _counts(scenarios: Sequence[Scenario], services: Mapping[str, Any]) -> Iterator[str]:
    commandes = services["commandes"]
    created = sum(1 for _ in _created(scenarios))
    wanted = {"total": len(scenarios), "en_attente": 0, "creees": created, "annulees": len(scenarios) - created}
    yield from _compared("commande", {name: (wanted[name], commandes[name]) for name in wanted})
    sent = Counter(message for scenario in scenarios for message in scenario.messages)
    yield from _compared("notification", {m: (sent[m], n) for m, n in services["messages"].items()})


def _created(scenarios: Sequence[Scenario]) -> Iterator[Scenario]:
    return (scenario for scenario in scenarios if not scenario.raison)


def _decimal(amount: Any) -> Decimal:
    return Decimal(str(amount))


def _compared(where: str, facts: Mapping[str, tuple[Any, Any]]) -> Iterator[str]:
    for what, (wanted, found) in facts.items():
        if wanted != found:
            yield f"{where}: {what} is {found}, and should be {wanted}"
