"""Durations on every screen: in the units that a person would use."""

import pytest

from choregraphie.terminal.formats import format_duration

_SECOND, _DAY = 1000, 86_400_000


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (None, "–"),
        (0, "0 ms"),
        (999.6, "1.0 s"),
        (59_960, "1m 00s"),
        (192 * _SECOND, "3m 12s"),
        (99 * _DAY + 3_600_000, "99d 1h"),
        (100 * _DAY, "3 months"),
        (364 * _DAY, "11 months"),
        (730 * _DAY, "23 months"),
        (736 * _DAY, "2 years"),
        (56 * 366 * _DAY, "56 years"),
        (2026 * 366 * _DAY, "2,030 years"),
    ],
)
def test_a_duration_is_shown_in_the_units_of_its_size(ms: float | None, shown: str) -> None:
    assert format_duration(ms) == shown


def test_a_duration_takes_nine_characters_at_most() -> None:
    assert max(len(format_duration(1.37**power)) for power in range(97)) <= 9
