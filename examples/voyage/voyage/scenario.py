"""The voyage for the simulator: what its clients do, and what its own tables must hold at the end of a run.

What must hold for any saga comes from the simulator. A voyage in doubt (an event about it is a dead letter that
needs a person) is exempt here too.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from choregraphie.simulator import ClientAction, FinalState, Randomness, Scenario, Scope, Workload
from voyage.application import APP, CATALOGUE
from voyage.choreography import CHOREOGRAPHY

PLAIN = {
    "client_id": "CLIENT-1",
    "vol_id": "AF-LISBONNE",
    "hotel_id": "RIVAGE",
    "voiture_id": "CITADINE",
    "voyageurs": 1,
    "nuits": 3,
}
# The cases that are rare in production are common here, so that they meet.
_CHOICES = {
    "client_id": ("CLIENT-1", "CLIENT-1", "CLIENT-2", "CLIENT-FAUCHE"),
    "vol_id": ("AF-LISBONNE", "AF-LISBONNE", "AF-OSLO", "AF-INCONNU"),
    "hotel_id": ("RIVAGE", "RIVAGE", "RIVAGE", "BELVEDERE"),
    "voiture_id": ("CITADINE", "CITADINE", "CITADINE", "CABRIOLET"),
}
# The tables of bookings, the resource that each row names, and that resource's table and count.
_BOOKINGS = {
    "vol": ("billets", "vol_id", "vols", "prises"),
    "hotel": ("sejours", "hotel_id", "hotels", "prises"),
    "voiture": ("locations", "voiture_id", "categories", "louees"),
}


def _begin(randomness: Randomness, voyage: str) -> Mapping[str, Any]:
    if randomness.fraction("usual", voyage) < 0.5:
        return PLAIN
    chosen = {name: randomness.choice(choices, name, voyage) for name, choices in _CHOICES.items()}
    return {**PLAIN, **chosen}


WORKLOAD = Workload(
    CHOREOGRAPHY,
    begin=_begin,
    rival={"client_id": "CLIENT-RIVAL"},
    cancel={"raison": "changement d'avis"},
    prefix="VOY",
)


def bookings(state: FinalState) -> Iterator[str]:
    """What each resource counts as taken is what its bookings hold."""
    for service, (table, name, resources, count) in _BOOKINGS.items():
        held: Counter[str] = Counter()
        for row in state.rows(service, table):
            held[row[name]] += row.get("voyageurs", 1) if row["etat"] == "reserve" else 0
        for row in state.rows(service, resources):
            if row[count] != held[row[name]]:
                yield f"{row[name]}: {row[count]} taken, and the bookings hold {held[row[name]]}"


def agreement(state: FinalState) -> Iterator[str]:
    """A confirmed voyage has all that was booked and paid, and a cancelled one has nothing."""
    etats = {row["voyage_id"]: row["etat"] for row in state.rows("agence", "voyages")}
    yield from disagreements(state, {voyage for voyage, etat in etats.items() if etat == "confirme"})


def disagreements(state: FinalState, confirmed: set[str]) -> Iterator[str]:
    """The voyages for which the services do not hold what they should, where `confirmed` are."""
    held = _held_by(state)
    for voyage in sorted(confirmed.union(*held.values()) - state.in_doubt):
        having = [service for service in held if voyage in held[service]]
        if having != (list(held) if voyage in confirmed else []):
            is_confirmed = "confirmed" if voyage in confirmed else "not confirmed"
            yield f"{voyage}: {is_confirmed}, and held by {', '.join(having) or 'nobody'}"


def _held_by(state: FinalState) -> dict[str, set[str]]:
    held = {service: _held(state, service, table) for service, (table, *_) in _BOOKINGS.items()}
    held["paiement"] = {row["voyage_id"] for row in state.rows("paiement", "paiements") if row["etat"] == "debite"}
    return held


def _held(state: FinalState, service: str, table: str) -> set[str]:
    return {row["voyage_id"] for row in state.rows(service, table) if row["etat"] == "reserve"}


def money(state: FinalState) -> Iterator[str]:
    """A card lost what was taken and not refunded; of a cancelled voyage, exactly what the airline kept."""
    lost: Counter[str] = Counter()
    kept = {row["voyage_id"]: row["retenu"] for row in state.rows("vol", "billets")}
    for row in state.rows("paiement", "paiements"):
        lost[row["client_id"]] += row["montant"] - row["rembourse"]
        fee, voyage = row["montant"] - row["rembourse"], row["voyage_id"]
        if row["etat"] == "rembourse" and voyage not in state.in_doubt and fee != kept.get(voyage, 0):
            yield f"{voyage}: {fee} not refunded, and the airline kept {kept.get(voyage, 0)}"
    for row in state.rows("paiement", "cartes"):
        if row["debite"] != lost[row["client_id"]]:
            yield f"{row}, and the payments say {lost[row['client_id']]}"


def _voyage(number: int, **changes: Any) -> ClientAction:
    key = f"VOY-{number}"
    return ClientAction(0, "start", key, f"{key}-demande", {**PLAIN, **changes})


_CANCEL = ClientAction(0, "cancel", "VOY-1", "VOY-1-annulation")

SCENARIO = Scenario(
    choreography=CHOREOGRAPHY,
    services=APP.services,
    seed=CATALOGUE,
    workload=WORKLOAD,
    business={"V1 bookings": bookings, "V2 agreement": agreement, "V3 money": money},
    scopes=(
        Scope("one voyage", (_voyage(1),)),
        Scope("one voyage without a room", (_voyage(1, hotel_id="BELVEDERE"),)),
        Scope("one voyage and its cancellation", (_voyage(1), _CANCEL)),
    ),
)
