"""The retry policy and the expiration of a retry."""

import random

import pytest

from choregraphie.errors import BadApplication, Reason
from choregraphie.service.verdict import DeadLetter, RetryAfter, RetryOverride, RetryPolicy, describe, jittered_ms


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


def test_an_override_with_a_delay_of_its_own_gives_its_tries_whatever_the_settings_give() -> None:
    for delays in ((0.5,), (1.0, 5.0, 30.0, 120.0)):
        assert RetryOverride(tries=3, delay=2).policy(delays) == RetryPolicy((2, 2))


@pytest.mark.parametrize(
    ("tries", "delay", "said"),
    [
        (None, 1, "give it tries= from 2 to 21"),
        (1, 1, "give it tries= from 2 to 21"),
        (22, 1, "give it tries= from 2 to 21"),
        (3, 0, "give it a delay from 0.001 to 86400 s"),
        (3, 100_000, "give it a delay from 0.001 to 86400 s"),
    ],
)
def test_a_delay_that_cannot_be_is_refused_in_one_line(tries: int | None, delay: float, said: str) -> None:
    with pytest.raises(BadApplication) as refused:
        RetryOverride(tries=tries, delay=delay)
    assert str(refused.value) == f"RetryOverride(delay={delay}): {said}"


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
