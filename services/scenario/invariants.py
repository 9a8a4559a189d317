"""The business invariants of the order saga: each is a pure function of a run's final state.

    I1 stock    I2 money    I3 termination, with the messages to the customer    I5 agreement    I7 messages

The invariants of any saga (choregraphie/simulator/invariants.py) come beside them. An order in doubt (an event
about it is a dead letter that needs a person) is exempt from I2, I3 and I5. I9 is about the monitor, which nothing
here may import: it is passed to the run as an extra check.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from choregraphie.simulator.invariants import Check
from contracts.choreography import CHOREOGRAPHY
from services.scenario.final_state import OrderFinalState

CREATED = CHOREOGRAPHY.created.TYPE
CONFIRMED, CORRECTED, SORRY = "confirmation", "rectificatif", "annulation"
# The messages that the customer of an order may have got: of one created; created and cancelled; only cancelled.
# A confirmation whose outcome was never recorded counts as sent.
_EXPECTED_MESSAGES: dict[tuple[bool, bool], set[tuple[str, ...]]] = {
    (True, False): {(CONFIRMED,)},
    (True, True): {(CONFIRMED, CORRECTED), (CORRECTED,), (SORRY,)},
    (False, True): {(SORRY,)},
}


def stock(state: OrderFinalState) -> Iterator[str]:
    kept: Counter[tuple[str, str]] = Counter()
    for row in state.rows("stock", "reservations"):
        kept[row["produit_id"], row["etat"]] += row["quantite"]
    for row in state.rows("stock", "rayons"):
        product = row["produit_id"]
        expected = (kept[product, "retenue"], kept[product, "vendue"])
        if (row["retenu"], row["vendu"]) != expected or row["disponible"] < 0:
            yield f"{product}: {row}, and the reservations say {expected}"
        if row["initial"] != row["disponible"] + sum(expected):
            yield f"{product}: {row['initial']} at first, now {row}"


def money(state: OrderFinalState) -> Iterator[str]:
    taken: Counter[str] = Counter()
    debits = {row["commande_id"]: row for row in state.rows("paiement", "debits")}
    for row in debits.values():
        taken[row["client_id"]] += row["montant"] if row["etat"] == "pris" else 0
    for row in state.rows("paiement", "comptes"):
        if row["initial"] - row["solde"] != taken[row["client_id"]]:
            yield f"{row}, and {taken[row['client_id']]} was taken"
    for order, row in state.orders.items():
        paid = debits.get(order, {}).get("montant")
        if row["etat"] == "creee" and order not in state.in_doubt and row["montant"] != paid:
            yield f"{order}: created at {row['montant']}, and {paid} was taken"
    yield from _check_charges(
        state, {order: row["montant"] for order, row in debits.items() if row["etat"] == "pris"}
    )


def _check_charges(state: OrderFinalState, booked: Mapping[str, int]) -> Iterator[str]:
    """The gateway's charges are those of the payment service, to the cent, and nothing else."""
    held: dict[str, list[int]] = {}
    for key, amount in state.charged.items():
        held.setdefault(key.rpartition(":")[2], []).append(int(amount * 100))
    for order in sorted({*booked, *held} - state.in_doubt):
        expected = [booked[order]] if order in booked else []
        if held.get(order, []) != expected:
            yield f"{order}: the gateway holds {held.get(order, [])}, and the debits say {expected}"


def decided(state: OrderFinalState) -> Iterator[str]:
    """Each order is decided in the decider's own table too, and its customer was told."""
    for order in sorted(state.said.keys() - state.orders.keys() - state.in_doubt):
        yield f"{order}: unknown to the decider"
    for order, row in state.orders.items():
        if order in state.in_doubt:
            continue
        if row["etat"] not in {"creee", "annulee"}:
            yield f"{order}: {row['etat']}, and no dead letter asks a person to act"
        elif "notification.envoyee" not in state.said.get(order, {}):
            yield f"{order}: {row['etat']}, without notification.envoyee"
        yield from _check_messages(state, order, row["etat"] == "annulee")


def _check_messages(state: OrderFinalState, order: str, cancelled: bool) -> Iterator[str]:
    """The customer got the messages that fit what became of the order, and the carrier sent each of them."""
    messages = state.messages.get(order, {})
    models = tuple(sorted(messages.values()))
    created = CREATED in state.said.get(order, {})
    became = [word for word, so in (("created", created), ("cancelled", cancelled)) if so]
    if models not in _EXPECTED_MESSAGES.get((created, cancelled), ()):
        yield f"{order}: {' and '.join(became) or 'undecided'}, and the customer got {models}"
    if unsent := sorted(messages.keys() - state.sent.keys()):
        yield f"{order}: the carrier never sent {', '.join(unsent)}"


def agreement(state: OrderFinalState) -> Iterator[str]:
    goods = {row["commande_id"]: row["etat"] for row in state.rows("stock", "reservations")}
    money = {row["commande_id"]: row["etat"] for row in state.rows("paiement", "debits")}
    for order in sorted({*goods, *money, *state.orders} - state.in_doubt):
        etat = state.orders.get(order, {}).get("etat", "unknown")
        kept = (goods.get(order, "liberee"), money.get(order, "rembourse"))
        if kept != (("vendue", "pris") if etat == "creee" else ("liberee", "rembourse")):
            yield f"{order}: {etat}, goods {kept[0]}, money {kept[1]}"


def messages_once(state: OrderFinalState) -> Iterator[str]:
    """Each recorded message was sent once; one more only when a correction came before its recording."""
    left: dict[str, set[str]] = {}
    for key, mail in state.sent.items():
        left.setdefault(mail.order, set()).add(key)
    for order in sorted(left.keys() - state.in_doubt):
        messages = state.messages.get(order, {})
        more = left[order] - messages.keys()
        if len(more) > (1 if list(messages.values()) == [CORRECTED] else 0):
            yield f"{order}: sent without a record: {', '.join(sorted(more))}"


CHECKS: dict[str, Check] = {
    "I1 stock": stock,
    "I2 money": money,
    "I3 termination of orders": decided,
    "I5 agreement": agreement,
    "I7 no double message": messages_once,
}
