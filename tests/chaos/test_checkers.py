"""The checkers are checked: each finds the one thing spoilt, and nothing where nothing is."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from scripts.nemesis.databases import Databases
from scripts.nemesis.history import DeadLetter, History, QueueState
from scripts.nemesis.invariants import CHECKERS, check_invariants, partly_checked
from tests.chaos.corrupt import gone, order
from tests.chaos.corrupt_business import CASES as BUSINESS
from tests.chaos.corrupt_business import GIVEN_UP
from tests.chaos.corrupt_traffic import CASES as TRAFFIC
from tests.chaos.corrupt_traffic import deaf, undone
from tests.chaos.sample_history import body, databases, decided, history, told, with_outbox

CASES = BUSINESS | TRAFFIC


def test_a_sane_history_has_nothing_to_answer_for() -> None:
    assert check_invariants(history(), databases()) == []


@pytest.mark.parametrize("sentence", CASES)
def test_what_is_spoilt_is_found(sentence: str) -> None:
    case = CASES[sentence]
    found = list(CHECKERS[case.invariant](case.past, case.kept))
    assert any(v.invariant == case.invariant and case.what in v.what for v in found), found


@pytest.mark.parametrize("invariant", CHECKERS)
def test_a_checker_that_has_nothing_to_look_at_says_so(invariant: str) -> None:
    assert any("could not tell" in violation.what for violation in CHECKERS[invariant](History(), Databases()))


def test_every_invariant_has_a_history_that_spoils_it() -> None:
    assert {case.invariant for case in CASES.values()} == set(CHECKERS)


def test_a_stream_that_lost_its_last_entries_may_say_less_to_a_new_monitor() -> None:
    past = replace(history(), rebuilt=deaf, complete=False)
    assert check_invariants(past, databases(), ["I9"]) == []


def test_what_the_stream_has_lost_is_told_and_not_taken_for_judged() -> None:
    assert partly_checked(history(), databases()) == {}
    stream = tuple(s for s in history().stream if s.fields.identity != "A:commande.creee")
    past = replace(history(), stream=stream, complete=False)
    silent = replace(told(), states={**told().states, "A": "RUNNING"})
    assert check_invariants(replace(past, live=silent, rebuilt=silent), databases(), ["I9"]) == []
    assert partly_checked(past, databases()) == {
        "I6": "without 1 events that the stream no longer holds completely",
        "I9": "without 1 orders that the stream no longer holds completely",
    }


def test_an_order_whose_undoing_was_given_up_needs_a_person_and_is_excused_when_one_is_called() -> None:
    kept = order("B", "en_attente")
    past = replace(
        history(), dead_letters=(*history().dead_letters, undone), allowed_reasons=frozenset({"exhausted"})
    )
    called = replace(told(), flags={"B": frozenset({"INTERVENTION"})})
    concerned = {"I2", "I3", "I5", "I8", "I9"}
    assert check_invariants(replace(past, live=called, rebuilt=called), kept, concerned) == []
    assert {v.invariant for v in check_invariants(history(), kept, concerned)} == {"I3", "I9"} - {"I9"}


def test_a_step_that_was_given_up_and_refused_has_ended_like_any_other() -> None:
    rows = [*databases().of("stock").outbox, decided("C", "stock.reservation_echouee")]
    exhausted_messages = DeadLetter("stock", body("C", "commande.initiee"), "exhausted")
    past = replace(
        history(),
        dead_letters=(*history().dead_letters, exhausted_messages),
        allowed_reasons=frozenset({"exhausted"}),
    )
    assert (
        check_invariants(
            past, with_outbox(databases(), "stock", dict.fromkeys(rows)), ["I2", "I3", "I5", "I8", "I9"]
        )
        == []
    )


def test_a_step_that_was_given_up_excuses_nothing() -> None:
    past = replace(
        history(), dead_letters=(*history().dead_letters, GIVEN_UP), allowed_reasons=frozenset({"exhausted"})
    )
    assert check_invariants(past, order("A", "en_attente"), ["I5"]) != []


def test_what_a_plan_can_have_set_aside_may_be_set_aside() -> None:
    past = replace(history(), dead_letters=(*history().dead_letters, undone))
    assert check_invariants(past, databases(), ["I8"]) != []
    assert check_invariants(replace(past, allowed_reasons=frozenset({"exhausted"})), databases(), ["I8"]) == []


@pytest.mark.parametrize(
    "ended",
    [
        gone(0, sigterms=1),
        gone(1, sigterms=2),
        gone(-signal.SIGKILL, killed=True),
        gone(-signal.SIGTERM, sigterms=1, age=0.5),
    ],
)
def test_a_worker_may_end_when_it_is_made_to(ended: History) -> None:
    assert check_invariants(ended, databases(), ["I10"]) == []


def test_a_hidden_copy_of_a_queue_is_no_excuse_for_a_missing_one() -> None:
    only = replace(history(), queues=(QueueState("stock.dlq", 0, 0, 0, 0),))
    assert any(
        "consumers: unknown" in violation.what for violation in check_invariants(only, databases(), ["I10"])
    )
