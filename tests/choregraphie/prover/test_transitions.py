"""The model's transitions are those of the services: what the real reactions say is a transition, and the reverse.

Random walks take whole orders through four service harnesses, in any order of arrival. Each answer must be a
transition of the model, and at the end every transition without a give-up has been seen.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from choregraphie import Settings
from choregraphie.prover.model import Model
from choregraphie.prover.state_space import explore
from choregraphie.prover.transitions import GIVEN_UP, State, Transition
from choregraphie.saga.choreography import EventClass
from choregraphie.saga.envelope import Event
from choregraphie.testing import ServiceHarness, open_harness
from contracts.choreography import CHOREOGRAPHY
from services.application import APP
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
WALKS = 400


class Externals:
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
        yield {s.name: stack.enter_context(open_harness(s, settings, Externals())) for s in APP.by_name.values()}


class Walk:
    """An order: the events said about it, and its state in the model."""

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

    def run(self) -> Iterator[Transition]:
        while not self.model.is_final(self.state) or self.rng.random() < 0.3:
            transitions = [(m, after) for m, after in self.model.transitions(self.state) if m.kind not in GIVEN_UP]
            if not transitions:
                return
            wanted = self.rng.choice([transition for transition, _ in transitions])
            said = self._perform(wanted)
            yield self._follow(wanted, said, transitions)

    def _perform(self, wanted: Transition) -> list[Event]:
        """Let it happen in the services. Returns what they say."""
        if wanted.service == "client":
            assert wanted.says is not None
            return [self.from_client[wanted.says]]
        if wanted.hears is None:
            harness = self.harnesses[wanted.service]
            return harness.tick(seconds=harness.settings.deadline + 1)
        (event,) = wanted.heard
        return self.harnesses[wanted.service].hear(self.said[event])

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
            f"{wanted.service}, hearing {wanted.hears}, says {answer}: the model has no such transition"
        )


def without_give_ups() -> set[Transition]:
    space = explore(CHOREOGRAPHY)
    alive = (state for state in space.states if not state & space.model.dead_letters)
    transitions = (transition for state in alive for transition, _ in space.model.transitions(state))
    return {transition for transition in transitions if transition.kind not in GIVEN_UP}


def test_the_services_answers_are_exactly_the_transitions_of_the_model(
    harnesses: dict[str, ServiceHarness],
) -> None:
    rng = random.Random(1)
    seen = {transition for n in range(WALKS) for transition in Walk(harnesses, rng, n).run()}
    assert without_give_ups() - seen == set()


def test_the_walks_left_the_databases_consistent(harnesses: dict[str, ServiceHarness]) -> None:
    """Every order has ended: nothing is held, and only created orders are charged."""
    commandes = harnesses["commande"].inspect()["commandes"]
    assert commandes["en_attente"] == 0
    product = harnesses["stock"].inspect()["produits"]["PROD-456"]
    assert (product["retenu"], product["vendu"]) == (0, 2 * commandes["creees"])
    mouvements = harnesses["paiement"].inspect()["mouvements"]
    charged = mouvements["debits"]["nombre"] - mouvements["remboursements"]["nombre"]
    assert charged == commandes["creees"]
