"""The retry policy and the expiration of a retry."""

import random

import pytest

from choregraphie.errors import Reason
from choregraphie.service.service import RetryOverride
from choregraphie.service.verdict import DeadLetter, RetryAfter, RetryPolicy, describe, jittered_ms


def test_each_try_has_the_next_delay() -> None:
    policy = RetryPolicy((1, 5, 30))
    verdicts = [policy.after(ValueError("x"), attempt) for attempt in (1, 2, 3)]
    assert [v.seconds for v in verdicts if isinstance(v, RetryAfter)] == [1, 5, 30]
    assert [v.attempt for v in verdicts] == [1, 2, 3]


def test_after_the_last_delay_it_is_given_up() -> None:
    verdict = RetryPolicy((1, 5)).after(ValueError("x"), 3)
    assert verdict == DeadLetter(Reason.EXHAUSTED, "ValueError: x", 3)


def test_some_errors_are_never_retried() -> None:
    policy = RetryPolicy((1, 5), never=(KeyError,))
    assert isinstance(policy.after(KeyError("x"), 1), DeadLetter)
    assert isinstance(policy.after(ValueError("x"), 1), RetryAfter)


@pytest.mark.parametrize(
    ("override", "tries"),
    [(None, 3), (1, 1), (2, 2), (9, 3)],
    ids=["none", "only one", "fewer", "more than the settings give"],
)
def test_an_override_gives_fewer_tries_and_never_more(override: int | None, tries: int) -> None:
    policy = RetryOverride(tries=override).policy((1.0, 5.0))
    assert policy.tries == tries
    assert isinstance(policy.after(ValueError("x"), tries), DeadLetter)


def test_an_error_is_one_bounded_line() -> None:
    text = describe(ValueError("a\nb\r\n\tc" + "x" * 5000))
    assert text.startswith("ValueError: a b c")
    assert len(text) == 300


def test_the_expiration_is_spread_below_the_queues_own_delay() -> None:
    rng = random.Random(1)
    waits = {jittered_ms(10, rng) for _ in range(200)}
    assert min(waits) >= 8000
    assert max(waits) <= 10_000
    assert len(waits) > 20
    assert jittered_ms(0.001, rng) == 1
