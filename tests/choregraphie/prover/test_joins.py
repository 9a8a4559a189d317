"""The prover understands steps that wait for several events, and services with several steps."""

import json
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from sqlalchemy import MetaData

from choregraphie import Service, Transaction, on
from choregraphie.prover import FORMATS, as_data, as_text, conformance, diagram, document, prove
from choregraphie.prover.graph import Kind, graph_of
from choregraphie.prover.model import Model
from choregraphie.prover.reduction import ReducedSpace
from choregraphie.prover.report import sentence
from choregraphie.prover.state_space import explore
from choregraphie.prover.transitions import Fact, TransitionKind
from choregraphie.saga.choreography import Choreography
from tests.choregraphie.prover.declared import Broken
from tests.choregraphie.prover.travel import (
    ANNULE,
    BROKEN,
    NON_PAYE,
    PARTS,
    PAYE,
    REFUSE,
    REMBOURSE,
    RESERVE,
    SOUND,
    TRAVEL,
    changed,
    decided_together,
)


@pytest.mark.parametrize("choreography", SOUND.values(), ids=SOUND)
def test_a_sound_journey_holds(choreography: Choreography) -> None:
    assert prove(choreography).violations == ()


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: f"{broken.rule.slug}: {broken.name}")
def test_a_broken_journey_is_refused_for_its_own_reason(broken: Broken) -> None:
    proof = prove(broken.choreography)
    assert {violation.rule for violation in proof.violations} == {broken.rule}
    assert broken.says in " | ".join(violation.what for violation in proof.violations)
    assert broken.length in (min(len(violation.run) for violation in proof.violations), None)
    assert "To fix it: " in as_text(proof)
    assert json.loads(json.dumps(as_data(proof)))["holds"] is False


def test_a_joined_reaction_is_carried_out_once_all_its_events_were_said() -> None:
    model = Model(TRAVEL)
    said = model.bits(Fact.SAID, RESERVE)
    pays = [action for action in model.actions if action.transition.says is PAYE]
    assert [action.needs & said for action in pays] == [said]


def test_one_event_of_a_join_may_be_given_up_before_the_others_are_said() -> None:
    model = Model(TRAVEL)
    given_up = [a for a in model.actions if a.transition.kind is TransitionKind.GIVES_UP_PART]
    assert {a.needs for a in given_up if a.transition.says is NON_PAYE} == {
        model.bit(Fact.SAID, event) for event in RESERVE
    }


def test_a_refusal_while_the_others_are_under_way_ends_with_everything_undone() -> None:
    """In every final state without a dead letter in which the hotel refused, all three have answered."""
    space = explore(decided_together())
    model = space.model
    refused = [
        state
        for state in space.final_states
        if state & model.bit(Fact.SAID, REFUSE[1]) and not state & model.dead_letters
    ]
    answers = model.bits(Fact.SAID, [step.undone for step in decided_together().undoings])
    assert refused != []
    assert all(state & answers == answers for state in refused)


def test_a_run_names_all_events_of_a_join() -> None:
    broken = changed("paiement", ANNULE, undoes=())
    run = min((violation.run for violation in prove(broken).violations), key=len)
    told = [sentence(transition, broken) for transition in run]
    joined = "paiement hears vol.reserve + hotel.reserve + voiture.reserve, says paiement.effectue"
    assert joined in told


def test_a_join_is_drawn_as_a_node_that_its_events_lead_to() -> None:
    graph = graph_of(TRAVEL)
    (join,) = (node for node in graph.nodes if node.kind is Kind.JOIN)
    assert join.lane == "paiement"
    assert {source for source, target in graph.arrows if target == join.key} == {
        f"{part}_reserve" for part in PARTS
    }
    assert {target for source, target in graph.arrows if source == join.key} == {
        "paiement_effectue",
        "paiement_echoue",
    }


@pytest.mark.parametrize("format_", FORMATS)
def test_a_join_is_in_every_format(format_: str) -> None:
    text = diagram(TRAVEL, format_)
    assert "paiement_joins_vol_reserve" in text or format_ == "svg"
    if format_ == "svg":
        ElementTree.fromstring(text)
        assert "waits for all of them" in text


def encaisser(heard: tuple[Any, ...], tx: Transaction) -> Iterator[Any]:
    yield from ()


def rembourser(heard: Any, tx: Transaction) -> Iterator[Any]:
    yield from ()


# These classes are made at run time, so no annotation in the source can name them.
SAYS: Any = Iterator
encaisser.__annotations__["return"] = SAYS[PAYE | NON_PAYE]
rembourser.__annotations__["return"] = SAYS[REMBOURSE]


def paying(*heard: Any) -> Service:
    """The service `paiement`, which pays when all of `heard` were heard."""
    reactions = (on(heard, encaisser, gives_up=NON_PAYE), on(ANNULE, rembourser, undoes=encaisser))
    return Service("paiement", reactions, MetaData(), inspect=lambda connection: {})


def differences(service: Service) -> list[str]:
    found = conformance.violations(TRAVEL, ReducedSpace(TRAVEL), {"paiement": service})
    return [violation.what for violation in found if violation.service == "paiement"]


def test_a_table_that_joins_what_is_declared_conforms() -> None:
    assert differences(paying(*RESERVE)) == []


@pytest.mark.parametrize("heard", [RESERVE[:2], RESERVE[:1], RESERVE[::-1]])
def test_a_table_that_joins_other_events_is_refused(heard: tuple[Any, ...]) -> None:
    missing, undeclared, *_ = differences(paying(*heard))
    assert missing == (
        "paiement is declared to hear vol.reserve + hotel.reserve + voiture.reserve, "
        "and its table has no reaction to it"
    )
    assert undeclared.startswith(f"paiement hears {' + '.join(event.TYPE for event in heard)}, which the ")


def test_asyncapi_has_an_operation_for_each_event_of_a_join() -> None:
    operations = document(paying(*RESERVE), TRAVEL, (1.0,), "")["operations"]
    assert {name: operation["x-awaits"] for name, operation in operations.items() if "x-awaits" in operation} == {
        "hear_vol_reserve": ["hotel.reserve", "voiture.reserve"],
        "hear_hotel_reserve": ["voiture.reserve", "vol.reserve"],
        "hear_voiture_reserve": ["hotel.reserve", "vol.reserve"],
    }
    assert operations["hear_voyage_annule"]["x-undoes"] == sorted(event.TYPE for event in RESERVE)
