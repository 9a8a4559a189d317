"""Times on a command line: every program reads them in the same way."""

import datetime as dt

import pytest

from choregraphie.terminal.arguments import BadMoment, moment_of

NOW = dt.datetime(2026, 11, 22, 18, 47, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", "2026-11-22T18:45:30+00:00"),
        ("2d", "2026-11-20T18:47:00+00:00"),
        ("today", "2026-11-22T00:00:00+00:00"),
        ("yesterday", "2026-11-21T00:00:00+00:00"),
        ("Yesterday", "2026-11-21T00:00:00+00:00"),
        ("2026-11-22", "2026-11-22T00:00:00+00:00"),
        ("2026-11-22T18:40", "2026-11-22T18:40:00+00:00"),
        ("2026-11-22 18:40:00", "2026-11-22T18:40:00+00:00"),
        ("2026-11-22t18:40:00z", "2026-11-22T18:40:00+00:00"),
        ("2026-11-22T19:40:00+01:00", "2026-11-22T18:40:00+00:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999+00:00"),
        ("2016-12-31T23:59:60", "2016-12-31T23:59:59.999999+00:00"),
        ("2026-11-22T18:40:00.123456789Z", "2026-11-22T18:40:00.123456+00:00"),
    ],
)
def test_a_time_without_an_offset_is_in_utc(text: str, moment: str) -> None:
    assert moment_of(text, NOW) == dt.datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2026-02-29", "2027-01-01", "1969-12-31", "٣d", "10w", "x" * 500]
)
def test_what_is_no_time_of_the_past_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadMoment) as caught:
        moment_of(text, NOW)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
