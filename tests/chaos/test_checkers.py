"""The checkers are checked: each finds the one thing spoilt, and nothing where nothing is."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from scripts.nemesis.databases import Books
from scripts.nemesis.history import History, Letter, QueueState
from scripts.nemesis.invariants import CHECKERS, judge, partly
from tests.chaos.corrupt import gone, order
from tests.chaos.corrupt_business import CASES as BUSINESS
from tests.chaos.corrupt_business import GIVEN_UP
from tests.chaos.corrupt_traffic import CASES as TRAFFIC
from tests.chaos.corrupt_traffic import deaf, undone
from tests.chaos.sample_history import body, books, decided, history, told, with_outbox

CASES = BUSINESS | TRAFFIC


def test_a_sane_history_has_nothing_to_answer_for() -> None:
    assert judge(history(), books()) == []


@pytest.mark.parametrize("sentence", CASES)
def test_what_is_spoilt_is_found(sentence: str) -> None:
    case = CASES[sentence]
    found = list(CHECKERS[case.invariant](case.past, case.kept))
    assert any(v.invariant == case.invariant and case.what in v.what for v in found), found


@pytest.mark.parametrize("invariant", CHECKERS)
def test_a_checker_that_has_nothing_to_look_at_says_so(invariant: str) -> None:
    assert any("could not tell" in violation.what for violation in CHECKERS[invariant](History(), Books()))


def test_every_invariant_has_a_history_that_spoils_it() -> None:
    assert {case.invariant for case in CASES.values()} == set(CHECKERS)


def test_a_stream_that_lost_its_last_entries_may_say_less_to_a_new_monitor() -> None:
    past = replace(history(), anew=deaf, complete=False)
    assert judge(past, books(), ["I9"]) == []


def test_what_the_stream_has_lost_is_told_and_not_taken_for_judged() -> None:
    assert partly(history(), books()) == {}
    spoken = tuple(s for s in history().spoken if s.facts.identity != "A:commande.creee")
    past = replace(history(), spoken=spoken, complete=False)
    silent = replace(told(), states={**told().states, "A": "RUNNING"})
    assert judge(replace(past, live=silent, anew=silent), books(), ["I9"]) == []
    assert partly(past, books()) == {
        "I6": "without 1 events of which the stream no longer holds everything",
        "I9": "without 1 orders of which the stream no longer holds everything",
    }


def test_an_order_whose_undoing_was_given_up_needs_a_person_and_is_excused_when_one_is_called() -> None:
    kept = order("B", "en_attente")
    past = replace(history(), letters=(*history().letters, undone), may_set_aside=frozenset({"exhausted"}))
    called = replace(told(), flags={"B": frozenset({"INTERVENTION"})})
    concerned = {"I2", "I3", "I5", "I8", "I9"}
    assert judge(replace(past, live=called, anew=called), kept, concerned) == []
    assert {v.invariant for v in judge(history(), kept, concerned)} == {"I3", "I9"} - {"I9"}


def test_a_step_that_was_given_up_and_refused_has_ended_like_any_other() -> None:
    rows = [*books().of("stock").outbox, decided("C", "stock.reservation_echouee")]
    given_up = Letter("stock", body("C", "commande.initiee"), "exhausted")
    past = replace(history(), letters=(*history().letters, given_up), may_set_aside=frozenset({"exhausted"}))
    assert judge(past, with_outbox(books(), "stock", dict.fromkeys(rows)), ["I2", "I3", "I5", "I8", "I9"]) == []


def test_a_step_that_was_given_up_excuses_nothing() -> None:
    past = replace(history(), letters=(*history().letters, GIVEN_UP), may_set_aside=frozenset({"exhausted"}))
    assert judge(past, order("A", "en_attente"), ["I5"]) != []


def test_what_a_plan_can_have_set_aside_may_be_set_aside() -> None:
    past = replace(history(), letters=(*history().letters, undone))
    assert judge(past, books(), ["I8"]) != []
    assert judge(replace(past, may_set_aside=frozenset({"exhausted"})), books(), ["I8"]) == []


@pytest.mark.parametrize(
    "ended",
    [
        gone(0, asked=1),
        gone(1, asked=2),
        gone(-signal.SIGKILL, killed=True),
        gone(-signal.SIGTERM, asked=1, age=0.5),
    ],
)
def test_a_worker_may_end_when_it_is_made_to(ended: History) -> None:
    assert judge(ended, books(), ["I10"]) == []


def test_a_hidden_copy_of_a_queue_is_no_excuse_for_a_missing_one() -> None:
    only = replace(history(), queues=(QueueState("stock.dlq", 0, 0, 0, 0),))
    assert any("consumers: unknown" in violation.what for violation in judge(only, books(), ["I10"]))
