"""How long a refused login is tried."""

import pytest

from choregraphie import DatabaseRefused, retrying
from choregraphie.retrying import GAP_SECONDS, REFUSED_SECONDS, RefusedLogin

REFUSED = DatabaseRefused("SAGA_DATABASE_URL: no")


class Clock:
    """Stands in for the module `time`."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(retrying, "time", clock)
    return clock


def test_a_login_refused_for_a_minute_is_raised(clock: Clock) -> None:
    refused = RefusedLogin()
    refused.note(REFUSED)
    clock.now = REFUSED_SECONDS / 2
    refused.note(REFUSED, clock.now)
    clock.now = REFUSED_SECONDS
    with pytest.raises(DatabaseRefused, match="no; refused for 60 s"):
        refused.note(REFUSED, clock.now)


def test_answers_that_take_longer_than_the_gap_do_not_begin_the_minute_anew(clock: Clock) -> None:
    refused = RefusedLogin()
    refused.note(REFUSED)
    asked_at, clock.now = 1.0, GAP_SECONDS + 2
    refused.note(REFUSED, asked_at)
    asked_at, clock.now = GAP_SECONDS + 3, 2 * GAP_SECONDS + 4
    with pytest.raises(DatabaseRefused):
        refused.note(REFUSED, asked_at)


def test_a_login_that_was_accepted_in_between_has_another_minute(clock: Clock) -> None:
    refused = RefusedLogin()
    refused.note(REFUSED)
    clock.now = 3 * REFUSED_SECONDS
    refused.note(REFUSED)
