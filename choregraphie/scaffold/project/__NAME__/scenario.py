"""What the simulator needs: what clients say, and what must hold of the business at the end of every run.

What must hold of any saga (every enrolment is decided, nothing is lost or done twice) comes from the simulator.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from choregraphie.simulator import ClientAction, FinalState, Randomness, Scenario, Scope, Workload

from __NAME__.application import APP, CATALOGUE
from __NAME__.choreography import CHOREOGRAPHY

# Half of them are plain. In the others, cases that are rare in production are common, so that they meet.
_SESSIONS = ("PYTHON-101", "PYTHON-101", "PYTHON-101", "RABBITMQ-201", "ATELIER-301", "INCONNUE-000")


def _demande(randomness: Randomness, key: str) -> Mapping[str, str]:
    return {"participant_id": "CLAIRE", "session_id": randomness.choice(_SESSIONS, "session", key)}


WORKLOAD = Workload(
    CHOREOGRAPHY,
    begin=_demande,
    rival={"session_id": "RABBITMQ-201"},
    cancel={"raison": "changement d'avis"},
    prefix="INS",
)


def places_balance(state: FinalState) -> Iterator[str]:
    """The places of each session are those that are free and those that are held."""
    held = Counter(row["session_id"] for row in state.rows("place", "reservations") if row["etat"] == "retenue")
    for row in state.rows("place", "sessions"):
        if row["libres"] < 0 or row["places"] != row["libres"] + held[row["session_id"]]:
            yield f"{row}, and {held[row['session_id']]} are held"


def agreement(state: FinalState) -> Iterator[str]:
    """A confirmed enrolment holds a place, and no other one does."""
    etats = {row["inscription_id"]: row["etat"] for row in state.rows("inscription", "inscriptions")}
    held = {row["inscription_id"] for row in state.rows("place", "reservations") if row["etat"] == "retenue"}
    for key in sorted(etats.keys() - state.in_doubt):
        if (etats[key] == "confirmee") != (key in held):
            yield f"{key}: {etats[key]}, and a place is {'held' if key in held else 'not held'}"


_PLAIN = ClientAction(
    0, "start", "INS-1", "INS-1-demande", {"participant_id": "CLAIRE", "session_id": "PYTHON-101"}
)
_CANCEL = ClientAction(0, "cancel", "INS-1", "INS-1-annulation")

SCENARIO = Scenario(
    choreography=CHOREOGRAPHY,
    services=APP.services,
    seed=CATALOGUE,
    workload=WORKLOAD,
    business={"places balance": places_balance, "agreement": agreement},
    scopes=(
        Scope("one enrolment", (_PLAIN,)),
        Scope("one enrolment and its cancellation", (_PLAIN, _CANCEL)),
    ),
)
