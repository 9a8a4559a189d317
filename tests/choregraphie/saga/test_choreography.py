"""What follows from a choreography: its derived maps name each event once, and tell refusals from decisions."""

from dataclasses import replace

from choregraphie.saga.choreography import Choreography, Reaction
from contracts.choreography import CHOREOGRAPHY
from contracts.client import CommandeAnnulationDemandee, CommandeInitiee
from contracts.commande import CommandeAnnulee, CommandeCreee
from contracts.paiement import PaiementEchoue, PaiementRembourse
from contracts.stock import StockLibere, StockReservationEchouee


def test_every_event_has_one_class_and_one_speaker_by_its_wire_type() -> None:
    assert list(CHOREOGRAPHY.event_types.values()) == list(CHOREOGRAPHY.events)
    assert CHOREOGRAPHY.speaker_of["commande.initiee"] == "client"
    assert set(CHOREOGRAPHY.speaker_of.values()) == set(CHOREOGRAPHY.speakers)


def test_the_events_of_clients_are_those_that_no_service_says() -> None:
    assert CHOREOGRAPHY.client_types == {CommandeInitiee.TYPE, CommandeAnnulationDemandee.TYPE}


def test_a_cancellation_is_a_decision_and_no_refusal() -> None:
    """The decider's step names it as its refusal; for every other service it is the decision."""
    decider = CHOREOGRAPHY.step(CHOREOGRAPHY.decider)
    assert decider is not None
    assert decider.refusal is CommandeAnnulee
    assert CHOREOGRAPHY.refusals == {StockReservationEchouee, PaiementEchoue}
    assert CHOREOGRAPHY.refusal_types == {event.TYPE for event in CHOREOGRAPHY.refusals}


def test_a_refusal_counts_where_only_its_reaction_or_only_its_step_names_it() -> None:
    without_steps = replace(CHOREOGRAPHY, steps=tuple(replace(s, refusal=None) for s in CHOREOGRAPHY.steps))
    without_reactions = replace(
        CHOREOGRAPHY, reactions=tuple(replace(r, refusal=None) for r in CHOREOGRAPHY.reactions)
    )
    assert without_steps.refusals == without_reactions.refusals == CHOREOGRAPHY.refusals


def test_the_refusal_of_an_undoing_is_none() -> None:
    """It has none in a sound choreography; the prover reports it."""
    assert PaiementRembourse not in _with_refusing_undoing().refusals


def _with_refusing_undoing() -> Choreography:
    def refusing(reaction: Reaction) -> Reaction:
        return replace(reaction, refusal=PaiementRembourse) if reaction.undoing else reaction

    return replace(CHOREOGRAPHY, reactions=tuple(map(refusing, CHOREOGRAPHY.reactions)))


def test_each_answer_to_a_cancellation_names_its_service() -> None:
    assert CHOREOGRAPHY.undoing_types == {StockLibere.TYPE: "stock", PaiementRembourse.TYPE: "paiement"}
    assert [step.service for step in CHOREOGRAPHY.undoings] == ["stock", "paiement"]


def test_the_hearers_of_an_event_are_the_services_with_a_reaction_to_it() -> None:
    assert CHOREOGRAPHY.hearers(CommandeCreee.TYPE) == {"stock", "notification"}
    assert CHOREOGRAPHY.hearers(StockLibere.TYPE) == frozenset()


def test_every_event_heard_is_said_and_the_final_ones_are_only_said() -> None:
    assert CHOREOGRAPHY.heard < CHOREOGRAPHY.said
    assert CHOREOGRAPHY.said - CHOREOGRAPHY.heard == set(CHOREOGRAPHY.final)
