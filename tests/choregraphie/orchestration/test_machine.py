"""The state machine keeps its promises whatever answers come, in any order, twice or after their time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choregraphie.orchestration.exploration import explore
from choregraphie.orchestration.machine import Clock, Input, Instance, NotAsked, State, advance, awaited
from choregraphie.saga.choreography import EventClass
from tests.choregraphie.orchestration.sample_saga import (
    ANNULATION,
    CHAMBRE,
    DEMANDE,
    DOSSIER,
    LETTRE,
    PAIEMENT,
    SEJOURS,
    TRAIN,
)

INPUTS: list[Input] = [*SEJOURS.heard, Clock.TIME_IS_OVER]
OVER = {State.COMPLETED, State.COMPENSATED}


def run(*inputs: Input) -> tuple[Instance, list[str]]:
    """The instance after `inputs`, and the wire types that it said on the last of them."""
    instance = Instance()
    said: tuple[EventClass, ...] = ()
    for heard in inputs:
        instance, said = advance(SEJOURS, instance, heard)
    return instance, [command.TYPE for command in said]


def answer_of_undoing(instance: Instance) -> EventClass:
    """The answer that the instance awaits."""
    undone = SEJOURS.by_name[instance.undoing].undone
    assert undone is not None
    return undone


UNTIL_PAID: tuple[Input, ...] = (DEMANDE, CHAMBRE.success, TRAIN.success, PAIEMENT.success)
UNTIL_CONFIRMED: tuple[Input, ...] = (*UNTIL_PAID, DOSSIER.success)


def test_the_steps_of_a_tuple_are_asked_together_and_the_next_one_after_all_of_them() -> None:
    assert run(DEMANDE)[1] == ["train.reserver", "chambre.reserver"]
    assert run(DEMANDE, CHAMBRE.success)[1] == []
    assert run(DEMANDE, CHAMBRE.success, TRAIN.success)[1] == ["paiement.reserver"]


def test_an_instance_completes_when_its_last_step_has_succeeded() -> None:
    instance, said = run(*UNTIL_CONFIRMED, LETTRE.success)
    assert (instance.state, said) == (State.COMPLETED, [])


def test_a_refusal_undoes_in_the_reverse_order_of_execution_one_after_another() -> None:
    refused = (*UNTIL_PAID[:3], PAIEMENT.refusal)
    assert run(*refused)[1] == ["dossier.annuler"]
    assert run(*refused, DOSSIER.undone)[1] == ["lettre.prevenir", "paiement.annuler"]
    # The train was booked after the room.
    assert run(*refused, DOSSIER.undone, PAIEMENT.undone)[1] == ["train.annuler"]
    assert run(*refused, DOSSIER.undone, PAIEMENT.undone, TRAIN.undone)[1] == ["chambre.annuler"]
    instance, said = run(*refused, DOSSIER.undone, PAIEMENT.undone, TRAIN.undone, CHAMBRE.undone)
    assert (instance.state, said) == (State.COMPENSATED, [])


def test_a_late_answer_is_recorded_and_what_it_did_is_undone() -> None:
    late, said = run(DEMANDE, CHAMBRE.success, Clock.TIME_IS_OVER, TRAIN.success)
    assert (late.state, late.executed, said) == (State.FAILED, ("chambre", "train"), [])
    instance, _ = advance(SEJOURS, late, DOSSIER.undone)
    undone = []
    while instance.undoing:
        undone.append(instance.undoing)
        instance, _ = advance(SEJOURS, instance, answer_of_undoing(instance))
    assert (instance.state, undone) == (State.COMPENSATED, ["train", "chambre"])


def test_an_answer_to_a_step_that_was_not_asked_is_refused_in_one_line() -> None:
    with pytest.raises(NotAsked, match=r"paiement\.reserve: the step paiement was not asked for it"):
        run(DEMANDE, PAIEMENT.success)


def test_a_demand_to_cancel_that_comes_first_cancels_the_instance_when_it_begins() -> None:
    assert run(ANNULATION) == (Instance(doomed=True), [])
    assert run(ANNULATION, DEMANDE)[1] == ["dossier.annuler"]


def test_a_confirmed_instance_can_still_be_cancelled_by_its_client() -> None:
    instance, said = run(*UNTIL_CONFIRMED, LETTRE.success, ANNULATION)
    assert (instance.state, said) == (State.FAILED, ["dossier.annuler"])


@pytest.mark.parametrize("late", [(*UNTIL_CONFIRMED,), (DEMANDE, TRAIN.refusal, DOSSIER.undone)])
def test_an_answer_that_nothing_can_replace_and_that_is_late_asks_for_a_person_until_it_comes(
    late: tuple[Input, ...],
) -> None:
    instance, said = run(*late, Clock.TIME_IS_OVER)
    assert (instance.review, said) == (True, [SEJOURS.review.TYPE])
    assert advance(SEJOURS, instance, Clock.TIME_IS_OVER) == (instance, ()), "it is asked once"
    (step,) = awaited(SEJOURS, instance)
    answered, _ = advance(SEJOURS, instance, answer_of_undoing(instance) if instance.undoing else step.success)
    assert not answered.review


@given(st.lists(st.sampled_from(INPUTS), max_size=40))
def test_any_inputs_leave_an_instance_whole(inputs: list[Input]) -> None:
    """Answers that no service gives are among them; those are refused, and change nothing."""
    instance, said = Instance(), list[str]()
    for heard in inputs:
        try:
            instance, commands = advance(SEJOURS, instance, heard)
        except NotAsked:
            continue
        said += [command.TYPE for command in commands if command is not SEJOURS.review]
        check(instance)
    assert len(said) == len(set(said)), "no command is said twice"


def check(instance: Instance) -> None:
    """What holds of every instance: nothing is half undone, and whoever is not over awaits an answer."""
    undoable = {step.name for step in SEJOURS.all_steps if step.undoing and not step.pivot}
    if instance.state is State.COMPENSATED:
        assert set(instance.asked) & undoable <= set(instance.undone)
    if instance.state is State.COMPLETED:
        assert set(instance.executed) == set(SEJOURS.by_name)
    if LETTRE.name in instance.asked:
        assert DOSSIER.name in instance.executed, "what is never undone comes after the pivot"
    assert bool(awaited(SEJOURS, instance)) == (instance.state not in {*OVER, State.NEW})
    assert set(instance.undone) <= {*instance.asked, DOSSIER.name}


@given(st.data())
def test_an_instance_ends_whatever_its_services_answer(data: st.DataObject) -> None:
    """Answers come in any order, and after each the next ones are drawn: no run is without an end."""
    instance, _ = advance(SEJOURS, Instance(), DEMANDE)
    for _ in range(len(INPUTS)):
        if instance.state in OVER:
            return
        step = data.draw(st.sampled_from(awaited(SEJOURS, instance)))
        answers = [step.undone] if instance.undoing else [step.success, step.refusal]
        heard = data.draw(st.sampled_from([answer for answer in answers if answer is not None]))
        instance, _ = advance(SEJOURS, instance, heard)
        again, said = advance(SEJOURS, instance, heard)
        assert (again, said) == (instance, ()), "a repetition changes nothing"
    raise AssertionError(f"no end: {instance}")


def test_the_exploration_finds_every_end_and_no_other_state() -> None:
    found = explore(SEJOURS)
    assert {instance.state for instance in found.ends} == OVER
    for instance in found.reached:
        check(instance)
    assert len(found.run_to(found.ends[0])) > 1
