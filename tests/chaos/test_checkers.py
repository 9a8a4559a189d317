"""Each checker finds a planted violation, and none in a valid history."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from scripts.nemesis.databases import Databases
from scripts.nemesis.history import DeadLetter, History, QueueState
from scripts.nemesis.invariants import CHECKERS, check_invariants, partly_checked
from tests.chaos.corrupt import exited, order
from tests.chaos.corrupt_business import CASES as BUSINESS
from tests.chaos.corrupt_business import EXHAUSTED_STEP
from tests.chaos.corrupt_traffic import CASES as TRAFFIC
from tests.chaos.corrupt_traffic import exhausted_undoing, missing_creation
from tests.chaos.sample_history import DATABASES, HISTORY, MONITOR_STATE, body, outbox_row, with_outbox

CASES = BUSINESS | TRAFFIC


def test_a_valid_history_has_no_violation() -> None:
    assert check_invariants(HISTORY, DATABASES) == []


@pytest.mark.parametrize("case_name", CASES)
def test_a_planted_violation_is_found(case_name: str) -> None:
    case = CASES[case_name]
    found = list(CHECKERS[case.invariant](case.history, case.databases))
    assert any(v.invariant == case.invariant and case.message in v.what for v in found), found


@pytest.mark.parametrize("invariant", CHECKERS)
def test_a_checker_with_nothing_to_check_says_so(invariant: str) -> None:
    assert any("could not tell" in violation.what for violation in CHECKERS[invariant](History(), Databases()))


def test_every_invariant_has_a_planted_violation() -> None:
    assert {case.invariant for case in CASES.values()} == set(CHECKERS)


def test_a_rebuilt_monitor_may_lack_what_the_stream_has_lost() -> None:
    history = replace(HISTORY, rebuilt=missing_creation, complete=False)
    assert check_invariants(history, DATABASES, ["I9"]) == []


def test_the_report_counts_what_could_not_be_checked_because_the_stream_lost_it() -> None:
    assert partly_checked(HISTORY, DATABASES) == {}
    stream = tuple(s for s in HISTORY.stream if s.fields.identity != "A:commande.creee")
    history = replace(HISTORY, stream=stream, complete=False)
    silent = replace(MONITOR_STATE, states={**MONITOR_STATE.states, "A": "RUNNING"})
    assert check_invariants(replace(history, live=silent, rebuilt=silent), DATABASES, ["I9"]) == []
    assert partly_checked(history, DATABASES) == {
        "I6": "without 1 events that the stream no longer holds completely",
        "I9": "without 1 orders that the stream no longer holds completely",
    }


def test_an_order_with_an_exhausted_undoing_is_exempt_when_the_monitor_flags_it() -> None:
    databases = order("B", "en_attente")
    history = replace(
        HISTORY,
        dead_letters=(*HISTORY.dead_letters, exhausted_undoing),
        allowed_reasons=frozenset({"exhausted"}),
    )
    called = replace(MONITOR_STATE, flags={"B": frozenset({"INTERVENTION"})})
    concerned = {"I2", "I3", "I5", "I8", "I9"}
    assert check_invariants(replace(history, live=called, rebuilt=called), databases, concerned) == []
    assert {v.invariant for v in check_invariants(HISTORY, databases, concerned)} == {"I3"}


def test_an_exhausted_step_with_its_refusal_is_no_violation() -> None:
    rows = [*DATABASES.of("stock").outbox, outbox_row("C", "stock.reservation_echouee")]
    exhausted_messages = DeadLetter("stock", body("C", "commande.initiee"), "exhausted")
    history = replace(
        HISTORY,
        dead_letters=(*HISTORY.dead_letters, exhausted_messages),
        allowed_reasons=frozenset({"exhausted"}),
    )
    assert (
        check_invariants(
            history, with_outbox(DATABASES, "stock", dict.fromkeys(rows)), ["I2", "I3", "I5", "I8", "I9"]
        )
        == []
    )


def test_an_exhausted_step_is_no_exemption() -> None:
    history = replace(
        HISTORY,
        dead_letters=(*HISTORY.dead_letters, EXHAUSTED_STEP),
        allowed_reasons=frozenset({"exhausted"}),
    )
    assert check_invariants(history, order("A", "en_attente"), ["I5"]) != []


def test_a_dead_letter_that_the_planned_faults_allow_is_no_violation() -> None:
    history = replace(HISTORY, dead_letters=(*HISTORY.dead_letters, exhausted_undoing))
    assert check_invariants(history, DATABASES, ["I8"]) != []
    assert check_invariants(replace(history, allowed_reasons=frozenset({"exhausted"})), DATABASES, ["I8"]) == []


@pytest.mark.parametrize(
    "ended",
    [
        exited(0, sigterms=1),
        exited(1, sigterms=2),
        exited(-signal.SIGKILL, killed=True),
        exited(-signal.SIGTERM, sigterms=1, age=0.5),
    ],
)
def test_an_expected_end_of_a_worker_is_no_violation(ended: History) -> None:
    assert check_invariants(ended, DATABASES, ["I10"]) == []


def test_a_missing_queue_has_an_unknown_number_of_consumers() -> None:
    only = replace(HISTORY, queues=(QueueState("stock.dlq", 0, 0, 0, 0),))
    assert any("consumers: unknown" in violation.what for violation in check_invariants(only, DATABASES, ["I10"]))
