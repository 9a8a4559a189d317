"""A saga whose branches run in parallel, and a step that waits for several events."""

from __future__ import annotations

import itertools

import pytest

from choregraphie.saga.choreography import EventClass
from saga_monitor.analysis import saga_state
from saga_monitor.analysis.messages import DeadLetter
from saga_monitor.analysis.saga_state import Flag, HeardEvent, Progress, State
from tests.saga_monitor.memory_stream import START
from tests.support import several_sagas as s


def heard(*said: EventClass, causes: dict[EventClass, EventClass] | None = None) -> list[HeardEvent]:
    """These events in this order, ten milliseconds apart; `causes`: what those that name a cause answer."""
    named = causes or {}
    return [
        HeardEvent(
            cls.TYPE,
            cls.TYPE,
            cls.SAID_BY,
            START.replace(microsecond=10_000 * number),
            named[cls].TYPE if cls in named else None,
            offset=number,
        )
        for number, cls in enumerate(said)
    ]


def evaluate(*said: EventClass) -> Progress:
    return saga_state.evaluate(s.VOYAGES, heard(*said))


def steps(progress: Progress) -> dict[str, str]:
    return {step.step: step.state.value for step in progress.steps}


def test_the_branches_run_in_parallel_and_the_join_waits_for_both() -> None:
    progress = evaluate(s.VOYAGE_DEMANDE)
    assert steps(progress) == {"vol": "running", "hotel": "running", "reglement": "waiting", "agence": "waiting"}
    assert s.VOYAGES.called_for(progress.remaining) == ("vol.reserve", "hotel.reserve")


@pytest.mark.parametrize(
    ("booked", "awaited"), [(s.VOL_RESERVE, "hotel.reserve"), (s.HOTEL_RESERVE, "vol.reserve")]
)
def test_half_a_join_begins_nothing_and_only_the_other_half_is_called_for(
    booked: EventClass, awaited: str
) -> None:
    progress = evaluate(s.VOYAGE_DEMANDE, booked)
    assert (progress.state, steps(progress)["reglement"]) == (State.RUNNING, "waiting")
    assert s.VOYAGES.called_for(progress.remaining) == (awaited,)


def test_a_join_begins_when_all_its_events_were_heard_and_its_time_counts_from_the_last_one() -> None:
    said = (s.VOYAGE_DEMANDE, s.HOTEL_RESERVE, s.VOL_RESERVE)
    assert steps(evaluate(*said))["reglement"] == "running"
    settled = evaluate(*said, s.VOYAGE_REGLE, s.VOYAGE_CONFIRME)
    assert (settled.state, settled.remaining, settled.at_rest) == (State.COMPLETED, (), True)
    assert {step.step: step.duration_ms for step in settled.steps}["reglement"] == 10


def test_the_answer_of_a_join_proves_all_that_it_awaited() -> None:
    progress = evaluate(s.VOYAGE_DEMANDE, s.VOYAGE_REGLE)
    assert steps(progress) == {"vol": "done", "hotel": "done", "reglement": "done", "agence": "running"}


def test_a_refusal_while_a_sibling_is_under_way_awaits_the_undoing_of_both() -> None:
    refused = evaluate(s.VOYAGE_DEMANDE, s.VOL_COMPLET)
    assert (refused.state, s.VOYAGES.called_for(refused.remaining)) == (State.FAILED, ("agence.voyage_annule",))
    assert steps(refused)["hotel"] == "running"
    cancelled = evaluate(s.VOYAGE_DEMANDE, s.VOL_COMPLET, s.VOYAGE_ANNULE, s.HOTEL_RESERVE, s.VOL_LIBERE)
    assert cancelled.state is State.COMPENSATING
    assert set(cancelled.remaining) == {"hotel.libere", "paiement.voyage_rembourse"}
    assert steps(cancelled) == {
        "vol": "refused",
        "hotel": "undoing",
        "reglement": "undoing",
        "agence": "cancelled",
    }


def test_the_state_does_not_depend_on_which_branch_came_first() -> None:
    said = (s.VOYAGE_DEMANDE, s.VOL_RESERVE, s.HOTEL_RESERVE, s.VOYAGE_REGLE, s.VOYAGE_CONFIRME)
    ways = [saga_state.evaluate(s.VOYAGES, way) for way in itertools.permutations(heard(*said))]
    assert {(way.state, steps(way)["reglement"], way.remaining, way.flags) for way in ways} == {
        (State.COMPLETED, "done", (), ())
    }


@pytest.mark.parametrize("cause", [s.VOL_RESERVE, s.HOTEL_RESERVE])
@pytest.mark.parametrize("given_up", [s.VOL_RESERVE, s.HOTEL_RESERVE])
def test_the_answer_of_a_join_answers_each_of_its_events_whichever_it_names(
    cause: EventClass, given_up: EventClass
) -> None:
    """Neither is the answer to the other one forbidden, nor does a dead letter of the other need a person."""
    letter = [DeadLetter("paiement", given_up.TYPE, "exhausted", given_up.TYPE)]
    said = [s.VOYAGE_DEMANDE, s.VOL_RESERVE, s.HOTEL_RESERVE]
    assert saga_state.evaluate(s.VOYAGES, heard(*said), letter).flags == (Flag.INTERVENTION,)
    answered = heard(*said, s.VOYAGE_REGLE, causes={s.VOYAGE_REGLE: cause})
    assert saga_state.evaluate(s.VOYAGES, answered, letter).flags == ()


def test_a_step_refused_and_done_is_a_contradiction_in_any_saga() -> None:
    progress = evaluate(s.VOYAGE_DEMANDE, s.VOL_RESERVE, s.VOL_COMPLET)
    assert progress.flags == (Flag.CONTRADICTION,)
    both = evaluate(s.VOYAGE_DEMANDE, s.VOL_COMPLET, s.HOTEL_RESERVE, s.VOYAGE_REGLE, s.VOYAGE_CONFIRME)
    assert both.flags == (Flag.CONTRADICTION,)
