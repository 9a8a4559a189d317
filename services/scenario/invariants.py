"""The invariants of the order saga: each is a pure function of a run's final state.

    I1 stock          I2 money         I3 termination   I4 one decision
    I5 agreement      I6 nothing lost  I7 no double effect   I8 dead letters   I10 hygiene

An order in doubt (an event about it is a dead letter that needs a person) is exempt from I2, I3 and I5. I9 is
about the monitor, which nothing here may import: it is passed to the run as an extra check.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from choregraphie import Reason
from choregraphie.saga.topology import dlx
from choregraphie.simulator.final_state import identity, is_open, order_of, reason_of
from choregraphie.storage.inbox import EventIdentity
from contracts.choreography import CHOREOGRAPHY
from services.scenario.final_state import OrderFinalState

CREATED, CANCELLED = CHOREOGRAPHY.created.TYPE, CHOREOGRAPHY.cancelled.TYPE
# The reasons of invalid messages, which the clients of a plan send on purpose.
_INVALID_REASONS = {
    Reason.UNREADABLE,
    Reason.UNKNOWN_TYPE,
    Reason.UNKNOWN_VERSION,
    Reason.INVALID,
    Reason.SUBJECT_MISMATCH,
    Reason.WRONG_SENDER,
}
CONFIRMED, CORRECTED, SORRY = "confirmation", "rectificatif", "annulation"
# The messages that the customer of an order may have got: of one created; created and cancelled; only cancelled.
# A confirmation whose outcome was never recorded counts as sent.
_EXPECTED_MESSAGES: dict[tuple[bool, bool], set[tuple[str, ...]]] = {
    (True, False): {(CONFIRMED,)},
    (True, True): {(CONFIRMED, CORRECTED), (CORRECTED,), (SORRY,)},
    (False, True): {(SORRY,)},
}


def violations(state: OrderFinalState) -> list[str]:
    """Every invariant that is violated, each with what was found instead."""
    return [f"{name}: {found}" for name, check in CHECKS.items() for found in check(state)]


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


def termination(state: OrderFinalState) -> Iterator[str]:
    for order in sorted(
        {action.order for action in state.actions if action.kind in {"order", "second", "rival", "namesake"}}
    ):
        if order not in state.orders and order not in state.in_doubt:
            yield f"{order}: ordered, and unknown to the decider"
    for order, row in state.orders.items():
        if order in state.in_doubt:
            continue
        said = state.said.get(order, {})
        wanted = {
            "creee": (CREATED,),
            "annulee": (CANCELLED, *CHOREOGRAPHY.undoing_types),
        }.get(row["etat"])
        if wanted is None:
            yield f"{order}: {row['etat']}, and no dead letter asks a person to act"
        elif missing := [type_ for type_ in (*wanted, "notification.envoyee") if type_ not in said]:
            yield f"{order}: {row['etat']}, without {', '.join(missing)}"
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


def one_decision(state: OrderFinalState) -> Iterator[str]:
    for order, said in state.said.items():
        for type_ in (CREATED, CANCELLED):
            if len(set(said.get(type_, ()))) > 1:
                yield f"{order}: {type_} was decided {len(said[type_])} times"
    heard: dict[tuple[str, str], set[EventIdentity]] = {}
    for message in state.history:
        if message.routing_key in {CREATED, CANCELLED} and message.exchange == "commande.events":
            heard.setdefault((order_of(message), message.routing_key), set()).add(identity(message))
    yield from (f"{order}: {len(ids)} different {key}" for (order, key), ids in heard.items() if len(ids) > 1)


def agreement(state: OrderFinalState) -> Iterator[str]:
    goods = {row["commande_id"]: row["etat"] for row in state.rows("stock", "reservations")}
    money = {row["commande_id"]: row["etat"] for row in state.rows("paiement", "debits")}
    for order in sorted({*goods, *money, *state.orders} - state.in_doubt):
        etat = state.orders.get(order, {}).get("etat", "unknown")
        kept = (goods.get(order, "liberee"), money.get(order, "rembourse"))
        if kept != (("vendue", "pris") if etat == "creee" else ("liberee", "rembourse")):
            yield f"{order}: {etat}, goods {kept[0]}, money {kept[1]}"


def nothing_lost(state: OrderFinalState) -> Iterator[str]:
    for service, tables in state.tables.items():
        for row in tables["outbox"]:
            if row["said_at"] is None:
                yield f"{service} never published {row['type']} of {row['commande_id']}"
            event = EventIdentity(f"/services/{service}", row["event_id"])
            yield from _unheard(state, row["type"], event, row["commande_id"])
    for action in state.actions:
        if action.kind != "garbage":
            type_ = CHOREOGRAPHY.cancel_asked.TYPE if action.kind == "cancel" else CHOREOGRAPHY.starts.TYPE
            yield from _unheard(state, type_, EventIdentity(action.source, action.event), action.order)


def _unheard(state: OrderFinalState, type_: str, event: EventIdentity, order: str) -> Iterator[str]:
    for service in CHOREOGRAPHY.services:
        hears = CHOREOGRAPHY.reaction(service, type_) is not None
        if hears and event not in state.inboxes[service] | state.dead_events[service]:
            yield f"{service} never handled {type_} of {order}"


def no_double_effect(state: OrderFinalState) -> Iterator[str]:
    for service, tables in state.tables.items():
        # A timed reaction has no source: its cause is the event that its order began with.
        done = Counter(
            (row["action"], row["cause_source"] or row["commande_id"], row["cause"])
            for row in tables["journal"]
            if row["state"] == "done"
        )
        yield from (f"{service}: {action} twice for {cause}" for (action, _, cause), n in done.items() if n > 1)
    for order, said in state.said.items():
        for type_, ids in said.items():
            # The customer may get one message about each of two decisions.
            if len(ids) > (2 if type_ == "notification.envoyee" else 1):
                yield f"{order}: {type_} was decided {len(ids)} times"
        for step in CHOREOGRAPHY.steps[:2]:
            if step.refusal and {step.success.TYPE, step.refusal.TYPE} <= said.keys():
                yield f"{order}: both {step.success.TYPE} and {step.refusal.TYPE}"
    yield from _messages(state)


def _messages(state: OrderFinalState) -> Iterator[str]:
    """Each recorded message was sent once; one more only when a correction came before its recording."""
    left: dict[str, set[str]] = {}
    for key, mail in state.sent.items():
        left.setdefault(mail.order, set()).add(key)
    for order in sorted(left.keys() - state.in_doubt):
        messages = state.messages.get(order, {})
        more = left[order] - messages.keys()
        if len(more) > (1 if list(messages.values()) == [CORRECTED] else 0):
            yield f"{order}: sent without a record: {', '.join(sorted(more))}"


def dead_letters(state: OrderFinalState) -> Iterator[str]:
    written = {message.body for message in state.history if message.exchange not in map(dlx, state.tables)}
    kinds = {action.kind for action in state.actions}
    for service, dead in state.dead.items():
        for message in dead:
            reason, about = reason_of(message), f"{service}: a dead letter about {order_of(message)!r}"
            if message.body not in written:
                yield f"{about} has other bytes than were ever published"
            if not is_open(message) and not (reason in _INVALID_REASONS and "garbage" in kinds):
                yield f"{about} has the reason {reason!r}"
            if reason == Reason.EXHAUSTED and service not in state.may_fail:
                yield f"{about}: {message.headers.get('x-saga-detail')}"
            if reason == Reason.ID_COLLISION and "collide" not in kinds:
                yield f"{about} collides with nothing"


def hygiene(state: OrderFinalState) -> Iterator[str]:
    yield from state.remains


CHECKS: dict[str, Callable[[OrderFinalState], Iterator[Any]]] = {
    "I1 stock": stock,
    "I2 money": money,
    "I3 termination": termination,
    "I4 one decision": one_decision,
    "I5 agreement": agreement,
    "I6 nothing lost": nothing_lost,
    "I7 no double effect": no_double_effect,
    "I8 dead letters": dead_letters,
    "I10 hygiene": hygiene,
}
