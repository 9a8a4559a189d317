"""The abstract runs are those of the services: whatever the real reactions say is a move of the model.

Random walks of whole orders at four desks, in any order of arrival. The desks say what they say; the model must
have that move, and in the end every move that the model has without a give-up has been seen.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from choregraphie import Settings
from choregraphie.prover.state_space import explore
from choregraphie.prover.transitions import Model, State, Transition, TransitionKind
from choregraphie.saga.choreography import EventClass
from choregraphie.saga.envelope import Event
from choregraphie.testing import ServiceHarness, open_harness
from contracts.choreography import CHOREOGRAPHY
from services.application import SERVICES
from tests.support.event_builders import demande, initiee

CATALOGUE = """\
[produits]
PROD-456 = 1000000
[comptes]
CLIENT-123 = 100000000.00
CLIENT-666 = 100000000.00
[clients]
bloques = ["CLIENT-666"]
"""
GIVEN_UP = {TransitionKind.GIVES_UP, TransitionKind.SET_ASIDE}
WALKS = 400


class Outside:
    """A gateway and a carrier that always answer."""

    async def debiter(self, cle: str, client_id: str, montant: object) -> object:
        return type("Reponse", (), {"acceptee": True, "raison": ""})

    async def annuler(self, cle: str) -> None: ...

    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        return f"{commande_id}@clients.invalid"


@pytest.fixture(scope="module")
def harnesses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ServiceHarness]]:
    catalogue = tmp_path_factory.mktemp("walks") / "catalogue.toml"
    catalogue.write_text(CATALOGUE, encoding="utf-8")
    settings = Settings(database_url="sqlite:///:memory:", catalogue=catalogue)
    with ExitStack() as stack:
        yield {s.name: stack.enter_context(open_harness(s, settings, Outside())) for s in SERVICES.values()}


class Walk:
    """One order: what has really been said about it, and where the model thinks that it stands."""

    def __init__(self, harnesses: dict[str, ServiceHarness], rng: random.Random, number: int) -> None:
        self.harnesses, self.rng = harnesses, rng
        order = f"CMD-{number:04}"
        client = rng.choice(("CLIENT-123", "CLIENT-123", "CLIENT-666", "CLIENT-000"))
        produit = rng.choice(("PROD-456", "PROD-456", "PROD-456", "PROD-000"))
        self.from_client: dict[EventClass, Event] = {
            CHOREOGRAPHY.starts: initiee(order, client_id=client, produit_id=produit),
            CHOREOGRAPHY.cancel_asked: demande(order),
        }
        self.said: dict[EventClass, Event] = {}
        self.model = Model(CHOREOGRAPHY)
        _, self.state = self.model.initial()
        self.said[CHOREOGRAPHY.starts] = self.from_client[CHOREOGRAPHY.starts]

    def to_its_end(self) -> Iterator[Transition]:
        while not self.model.is_final(self.state) or self.rng.random() < 0.3:
            transitions = [(m, after) for m, after in self.model.transitions(self.state) if m.kind not in GIVEN_UP]
            if not transitions:
                return
            wanted = self.rng.choice([transition for transition, _ in transitions])
            said = self._really(wanted)
            yield self._follow(wanted, said, transitions)

    def _really(self, wanted: Transition) -> list[Event]:
        """Let it happen: the client speaks, the clock strikes, or a service hears."""
        if wanted.service == "client":
            assert wanted.says is not None
            return [self.from_client[wanted.says]]
        if wanted.hears is None:
            return self.harnesses[wanted.service].tick(seconds=901)
        return self.harnesses[wanted.service].hear(self.said[wanted.hears])

    def _follow(
        self, wanted: Transition, said: list[Event], transitions: list[tuple[Transition, State]]
    ) -> Transition:
        for event in said:
            self.said.setdefault(type(event), event)
        answer = type(said[0]) if said else None
        assert len(said) <= 1
        for transition, after in transitions:
            if (transition.service, transition.hears, transition.says) == (wanted.service, wanted.hears, answer):
                self.state = after
                return transition
        raise AssertionError(
            f"{wanted.service}, hearing {wanted.hears}, says {answer}: the model has no such move"
        )


def without_give_ups() -> set[Transition]:
    space = explore(CHOREOGRAPHY)
    alive: Callable[[State], bool] = lambda state: not state.dead  # noqa: E731
    transitions = (
        transition for state in filter(alive, space.states) for transition, _ in space.model.transitions(state)
    )
    return {transition for transition in transitions if transition.kind not in GIVEN_UP}


def test_whatever_the_services_say_is_a_move_of_the_model_and_the_other_way_round(
    harnesses: dict[str, ServiceHarness],
) -> None:
    rng = random.Random(1)
    seen = {transition for n in range(WALKS) for transition in Walk(harnesses, rng, n).to_its_end()}
    assert without_give_ups() - seen == set()


def test_what_was_walked_left_the_books_in_order(harnesses: dict[str, ServiceHarness]) -> None:
    """Every order has ended: nothing is held, and money was kept for exactly the orders that stand."""
    commandes = harnesses["commande"].inspect()["commandes"]
    assert commandes["en_attente"] == 0
    shelf = harnesses["stock"].inspect()["produits"]["PROD-456"]
    assert (shelf["retenu"], shelf["vendu"]) == (0, 2 * commandes["creees"])
    mouvements = harnesses["paiement"].inspect()["mouvements"]
    kept = mouvements["debits"]["nombre"] - mouvements["remboursements"]["nombre"]
    assert kept == commandes["creees"]
