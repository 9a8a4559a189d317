"""The prover accepts sound choreographies, and refuses each broken one for its own reason, with a shortest run."""

import dataclasses
import json

import pytest

from choregraphie.prover import Rule, TooLarge, as_data, as_text, prove
from choregraphie.prover.report import sentence
from choregraphie.prover.state_space import Run, StateSpace, explore
from choregraphie.prover.transitions import Fact, State, Transition, TransitionKind
from choregraphie.saga.choreography import Choreography
from contracts.choreography import CHOREOGRAPHY
from contracts.commande import CommandeAnnulee
from services.application import APP
from tests.choregraphie.prover.altered import SOUND
from tests.choregraphie.prover.broken import BROKEN
from tests.choregraphie.prover.declared import Broken


@pytest.fixture(scope="module")
def space() -> StateSpace:
    return explore(CHOREOGRAPHY)


def test_the_shipped_choreography_holds_by_every_rule() -> None:
    proof = prove(CHOREOGRAPHY, APP.by_name)
    assert proof.violations == ()
    assert set(proof.checked) == set(Rule)
    assert "The choreography holds." in as_text(proof)


@pytest.mark.parametrize("choreography", SOUND.values(), ids=SOUND)
def test_another_sound_choreography_holds(choreography: Choreography) -> None:
    assert prove(choreography).violations == ()


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: f"{broken.rule.slug}: {broken.name}")
def test_a_broken_choreography_is_refused_for_its_own_reason(broken: Broken) -> None:
    violations = prove(broken.choreography).violations
    assert {violation.rule for violation in violations} == {broken.rule}
    assert broken.says in " | ".join(violation.what for violation in violations)
    shortest = min(len(violation.run) for violation in violations)
    assert broken.length in (shortest, None)


def test_every_rule_about_the_declaration_has_a_choreography_that_breaks_it() -> None:
    assert {broken.rule for broken in BROKEN} == set(Rule) - {Rule.AS_DECLARED, Rule.HOLDS}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_a_violation_is_reported_with_its_rule_its_run_and_a_remedy(broken: Broken) -> None:
    proof = prove(broken.choreography)
    text, data = as_text(proof), as_data(proof)
    assert f"REFUSED  {broken.rule.slug}: {broken.rule.sentence}" in text
    assert "To fix it: " in text
    assert json.loads(json.dumps(data))["holds"] is False
    for violation in data["violations"]:
        assert (violation["mermaid"] is None) == (violation["run"] == [])
        if violation["run"]:
            assert violation["mermaid"].startswith("sequenceDiagram\n    participant ")
            assert " 1. client says commande.initiee" in text


def test_a_counter_example_is_a_list_of_sentences() -> None:
    proof = prove(
        next(broken for broken in BROKEN if broken.name == "an undoing that undoes nothing").choreography
    )
    assert [violation.rule for violation in proof.violations] == [Rule.UNDONE, Rule.UNDONE]
    shortest = min((violation.run for violation in proof.violations), key=len)
    assert [sentence(transition, CHOREOGRAPHY) for transition in shortest] == [
        "client says commande.initiee",
        "stock hears commande.initiee, says stock.reserve",
        "commande hears commande.initiee, and waits",
        "the deadline of commande passes: it says commande.annulee",
        "stock hears commande.annulee, says stock.libere",
    ]


def test_a_run_begins_with_the_order_and_each_transition_hears_an_event_said_before(space: StateSpace) -> None:
    for state in list(space.states)[::37]:
        run = space.path_to(state)
        said = {run[0].says}
        for transition in run:
            assert transition.hears is None or transition.hears in said
            said.add(transition.says)


def test_no_run_to_a_state_is_shorter_than_its_shortest_run(space: StateSpace) -> None:
    lengths = {state: len(space.path_to(state)) for state in space.states}
    for state, length in list(lengths.items())[::11]:
        assert all(lengths[after] <= length + 1 for _, after in space.model.transitions(state))


def test_a_cancellation_may_overtake_its_cause(space: StateSpace) -> None:
    """The late reaction finds the tombstone and does nothing."""
    assert any(
        transition.kind is TransitionKind.SKIPS and transition.service == "paiement"
        for run in _ends(space)
        for transition in run
    )


def test_a_step_may_give_up_long_after_the_deadline(space: StateSpace) -> None:
    expired = [state for state in space.states if state & space.model.bits(Fact.EXPIRED, CHOREOGRAPHY.timed)]
    transitions = [transition for state in expired for transition, _ in space.model.transitions(state)]
    assert {transition.service for transition in transitions if transition.kind is TransitionKind.GIVES_UP} == {
        "stock",
        "paiement",
    }


def test_a_step_that_gave_up_counts_as_perhaps_carried_out(space: StateSpace) -> None:
    """Its external call may have succeeded, so it must be undone as if carried out."""
    reaction = CHOREOGRAPHY.reaction("paiement", "stock.reserve")
    assert reaction is not None
    gave_up = [after for s in space.states for m, after in space.model.transitions(s) if _gives_up(m, "paiement")]
    assert gave_up != []
    assert all(after & space.model.bit(Fact.CARRIED_OUT, reaction) for after in gave_up)


def test_an_order_is_created_and_cancelled_at_most_once(space: StateSpace) -> None:
    for run in _ends(space):
        said = [transition.says for transition in run]
        assert said.count(CHOREOGRAPHY.created) <= 1
        assert said.count(CHOREOGRAPHY.cancelled) <= 1


def test_every_path_is_counted_once() -> None:
    """The number of paths, compared with a walk along each of them, in a small saga."""
    small = dataclasses.replace(
        CHOREOGRAPHY, reactions=tuple(r for r in CHOREOGRAPHY.reactions if r.service in {"stock", "commande"})
    )
    space = explore(small)

    def walk(state: State) -> int:
        return int(state in space.final_states) + sum(walk(after) for _, after in space.model.transitions(state))

    assert walk(space.model.initial()[1]) == space.path_count


def test_too_many_states_are_an_error_of_one_line() -> None:
    with pytest.raises(TooLarge, match="more than 100 states"):
        explore(CHOREOGRAPHY, most=100)


def test_a_dead_letter_ends_a_run(space: StateSpace) -> None:
    transitions: set[Transition] = {transition for run in _ends(space) for transition in run}
    set_aside = {transition.hears for transition in transitions if transition.kind is TransitionKind.SET_ASIDE}
    assert CommandeAnnulee in set_aside


def _ends(space: StateSpace) -> list[Run]:
    return [space.path_to(state) for state in space.final_states]


def _gives_up(transition: Transition, service: str) -> bool:
    return transition.service == service and transition.kind is TransitionKind.GIVES_UP
