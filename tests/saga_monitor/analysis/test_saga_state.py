"""The state of an order, evaluated from the set of its events."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga_monitor.analysis.messages import DeadLetter
from saga_monitor.analysis.saga_state import Flag, HeardEvent, State, StepState, is_stuck
from tests.saga_monitor.memory_stream import (
    ASKED,
    CONFIRMED,
    CREATED,
    HELD,
    KNOWN,
    PAID,
    PLACED,
    SCENARIOS,
    SHORTAGE,
    START,
    UNPAID,
    Line,
    undone,
)
from tests.support.order_saga import evaluate

if TYPE_CHECKING:
    from collections.abc import Iterator

UNDOING = ("stock.libere", "paiement.rembourse", "notification.envoyee")


def heard(*lines: Line) -> list[HeardEvent]:
    return [
        HeardEvent(
            id=line.id or line.type,
            type=line.type,
            service=KNOWN[line.type].SAID_BY,
            time=START + dt.timedelta(milliseconds=line.ms),
            causationid=line.cause,
            decides=line.data.get("modele"),
        )
        for line in lines
    ]


def steps(*lines: Line) -> str:
    return " ".join(step.state for step in evaluate(heard(*lines)).steps)


@pytest.mark.parametrize(
    ("lines", "state", "remaining", "steps_"),
    [
        (
            PLACED,
            State.NEW,
            ("stock.reserve", "paiement.effectue", "commande.creee", "notification.envoyee"),
            "running waiting waiting waiting",
        ),
        (
            HELD,
            State.RUNNING,
            ("paiement.effectue", "commande.creee", "notification.envoyee"),
            "done running waiting waiting",
        ),
        (PAID, State.RUNNING, ("commande.creee", "notification.envoyee"), "done done running waiting"),
        (CREATED, State.COMPLETED, ("notification.envoyee",), "done done done running"),
        (CONFIRMED, State.COMPLETED, (), "done done done done"),
        (SHORTAGE, State.FAILED, ("commande.annulee", *UNDOING), "refused skipped running skipped"),
        (UNPAID, State.FAILED, ("commande.annulee", *UNDOING), "done refused running skipped"),
        (
            [*UNPAID, *undone("paiement.echoue")[:1]],
            State.COMPENSATING,
            UNDOING,
            "undoing undoing cancelled running",
        ),
        (
            [*UNPAID, *undone("paiement.echoue")[:2]],
            State.COMPENSATING,
            UNDOING[1:],
            "undone undoing cancelled running",
        ),
        (
            [*UNPAID, *undone("paiement.echoue")[:3]],
            State.COMPENSATED,
            UNDOING[2:],
            "undone refused cancelled running",
        ),
        (SCENARIOS["refused by payment"], State.COMPENSATED, (), "undone refused cancelled done"),
        (SCENARIOS["refused by stock"], State.COMPENSATED, (), "refused skipped cancelled done"),
        (SCENARIOS["refused at creation"], State.COMPENSATED, (), "undone undone cancelled done"),
        (SCENARIOS["cancelled after creation"], State.COMPENSATED, (), "undone undone undone done"),
        (SCENARIOS["deadline passed"], State.COMPENSATED, (), "undone skipped cancelled done"),
        ([ASKED], State.UNKNOWN, (), ""),
        ([ASKED, *PLACED], State.NEW, ("commande.annulee", *UNDOING), "running skipped running skipped"),
        ([ASKED, *CONFIRMED], State.COMPLETED, ("commande.annulee", *UNDOING), "done done done done"),
    ],
)
def test_an_order_stands_where_its_events_say(
    lines: list[Line], state: State, remaining: tuple[str, ...], steps_: str
) -> None:
    progress = evaluate(heard(*lines))
    assert (progress.state, progress.remaining) == (state, remaining)
    assert steps(*lines) == steps_
    assert not progress.flags


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_order_of_arrival_does_not_change_the_evaluation(scenario: str) -> None:
    """All permutations of short histories, a thousand of long ones."""
    events = heard(*SCENARIOS[scenario])
    expected = evaluate(events)
    shuffles: Iterator[tuple[HeardEvent, ...]] = itertools.permutations(events)
    if len(events) > 7:
        rng = random.Random(2)
        shuffles = iter([tuple(rng.sample(events, len(events))) for _ in range(1000)])
    assert all(evaluate(shuffle) == expected for shuffle in shuffles)


@given(st.data())
def test_duplicates_and_disorder_never_matter_at_any_moment(data: st.DataObject) -> None:
    scenario = data.draw(st.sampled_from(sorted(SCENARIOS)))
    events = heard(*SCENARIOS[scenario])
    some = data.draw(st.lists(st.sampled_from(events), min_size=1))
    assert evaluate(some) == evaluate(dict.fromkeys(reversed(some)))


@given(st.data())
def test_clocks_never_change_the_state_or_what_remains(data: st.DataObject) -> None:
    events = heard(*SCENARIOS[data.draw(st.sampled_from(sorted(SCENARIOS)))])
    times = st.none() | st.datetimes(timezones=st.just(dt.UTC))
    skewed = [replace(event, time=data.draw(times)) for event in events]
    then, now = evaluate(events), evaluate(skewed)
    assert (now.state, now.remaining, now.flags, now.at_rest) == (
        then.state,
        then.remaining,
        then.flags,
        then.at_rest,
    )
    assert all(ms is None or ms >= 0 for ms in (now.duration_ms, *(step.duration_ms for step in now.steps)))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_complete_order_is_at_rest_and_an_incomplete_one_is_not(scenario: str) -> None:
    lines = SCENARIOS[scenario]
    assert evaluate(heard(*lines)).at_rest
    assert not any(
        evaluate(heard(*lines[:length])).at_rest for length in range(1, len(lines)) if not _pause(lines, length)
    )


def _pause(lines: list[Line], length: int) -> bool:
    """A confirmed order is at rest until a cancellation is requested."""
    return lines[:length] == CONFIRMED


def test_a_cancellation_is_complete_only_with_its_own_message_to_the_customer() -> None:
    confirmed_then_cancelled = [*CONFIRMED, *undone(None)[:3]]
    assert evaluate(heard(*confirmed_then_cancelled)).remaining == ("notification.envoyee",)


@pytest.mark.parametrize(("modele", "remaining"), [("confirmation", 1), ("annulation", 0), ("rectificatif", 0)])
def test_without_a_cause_the_template_says_what_a_message_answers(modele: str, remaining: int) -> None:
    lines = [*CREATED, *undone(None)[:3], Line("notification.envoyee", None, 600, {"modele": modele})]
    assert len(evaluate(heard(*lines)).remaining) == remaining


def test_a_message_whose_cause_is_known_answers_that_cause_whatever_its_template() -> None:
    odd = Line("notification.envoyee", "commande.annulee", 600, {"modele": "confirmation"})
    assert evaluate(heard(*CREATED, *undone(None)[:3], odd)).remaining == ()


def test_an_undoing_heard_before_the_cancellation_shows_that_there_is_one() -> None:
    progress = evaluate(heard(*HELD, Line("stock.libere")))
    assert progress.state is State.RUNNING
    assert progress.remaining == ("commande.annulee", "paiement.rembourse", "notification.envoyee")


def test_an_answer_proves_its_cause_in_a_history_with_gaps() -> None:
    progress = evaluate(heard(*PLACED, Line("paiement.effectue")))
    assert progress.remaining == ("commande.creee", "notification.envoyee")
    assert progress.flags == ()


@pytest.mark.parametrize("type_", sorted(set(KNOWN) - {"commande.initiee", "commande.annulation_demandee"}))
def test_without_a_beginning_nothing_is_awaited_and_nothing_has_a_time(type_: str) -> None:
    progress = evaluate(heard(Line(type_)))
    assert (progress.state, progress.flags) == (State.UNKNOWN, (Flag.NO_BEGINNING,))
    assert (progress.remaining, progress.at_rest) == ((), True)
    assert (progress.started, progress.duration_ms) == (None, None)
    assert {(step.duration_ms, step.undoing_ms, step.left_out) for step in progress.steps} <= {(None, None, False)}
    assert {StepState.WAITING, StepState.RUNNING, StepState.UNDOING}.isdisjoint(s.state for s in progress.steps)


def test_durations_run_from_the_cause_to_the_answer() -> None:
    progress = evaluate(heard(*SCENARIOS["cancelled after creation"]))
    assert [step.duration_ms for step in progress.steps] == [100, 200, 50, 50]
    assert [step.undoing_ms for step in progress.steps] == [50, 80, None, None]
    assert progress.duration_ms == 580
    assert evaluate(heard(*CONFIRMED)).duration_ms == 350


def test_durations_of_events_without_a_time_are_unknown() -> None:
    events = [replace(event, time=None) for event in heard(*CONFIRMED)]
    progress = evaluate(events)
    assert (progress.duration_ms, progress.started) == (None, None)
    assert {step.duration_ms for step in progress.steps} == {None}


def test_a_second_order_with_a_known_id_is_flagged_and_changes_nothing_else() -> None:
    again = replace(PLACED[0], id="another", ms=5000)
    assert evaluate(heard(*CONFIRMED, again)).flags == (Flag.REPEATED_START,)
    assert evaluate(heard(*CONFIRMED, again)).steps == evaluate(heard(*CONFIRMED)).steps


@pytest.mark.parametrize("type_", ["commande.creee", "commande.annulee"])
def test_one_decision_under_two_ids_is_a_contradiction(type_: str) -> None:
    lines = [*PAID, Line(type_, id="one"), Line(type_, id="two")]
    assert evaluate(heard(*lines)).flags == (Flag.CONTRADICTION,)
    assert evaluate(heard(*PAID, Line(type_, id="one"), Line(type_, id="one"))).flags == ()


@pytest.mark.parametrize(
    ("reason", "flags"),
    [
        ("exhausted", (Flag.INTERVENTION,)),
        ("delivery_limit", (Flag.INTERVENTION,)),
        ("unknown", (Flag.INTERVENTION,)),
        ("wrong_sender", ()),
        ("invalid", ()),
    ],
)
def test_a_message_given_up_without_an_answer_needs_a_person(reason: str, flags: tuple[Flag, ...]) -> None:
    assert evaluate(heard(*HELD), [DeadLetter("paiement", "stock.reserve", reason)]).flags == flags


def test_a_refusal_or_a_later_redrive_settles_a_given_up_message() -> None:
    given_up = [DeadLetter("paiement", "stock.reserve", "exhausted")]
    assert evaluate(heard(*UNPAID), given_up).flags == ()
    assert evaluate(heard(*PAID), given_up).flags == ()


def test_another_service_s_answer_does_not_count_for_the_one_that_gave_up() -> None:
    given_up = [DeadLetter("paiement", "commande.annulee", "exhausted")]
    halfway = [*PAID, *undone("paiement.effectue")[:2]]
    assert evaluate(heard(*halfway), given_up).flags == (Flag.INTERVENTION,)


def test_a_silent_order_is_stuck_only_if_it_awaits_something() -> None:
    assert is_stuck(False, START, START + dt.timedelta(seconds=61), 60)
    assert not is_stuck(False, START, START + dt.timedelta(seconds=60), 60)
    assert not is_stuck(True, START, START + dt.timedelta(days=9), 60)
