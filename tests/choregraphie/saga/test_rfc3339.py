"""Times: the usual form, which is read in a shorter way, means the same as every other form."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choregraphie.saga.rfc3339 import NoTimeError, read_time

TWO_DIGITS = st.integers(0, 99).map("{:02}".format)


def read(text: str) -> dt.datetime | None:
    try:
        return read_time(text)
    except NoTimeError:
        return None


@given(
    st.integers(0, 9999).map("{:04}".format),
    st.tuples(*[TWO_DIGITS] * 5),
    st.integers(0, 999).map("{:03}".format),
)
def test_the_usual_form_means_the_same_as_with_a_small_z(
    year: str, parts: tuple[str, ...], thousandths: str
) -> None:
    month, day, hour, minute, second = parts
    text = f"{year}-{month}-{day}T{hour}:{minute}:{second}.{thousandths}"
    assert read(f"{text}Z") == read(f"{text}z")


@given(st.datetimes())
def test_every_time_to_the_millisecond_is_read(time: dt.datetime) -> None:
    aware = time.replace(microsecond=time.microsecond // 1000 * 1000, tzinfo=dt.UTC)
    assert read_time(f"{aware.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z") == aware


@pytest.mark.parametrize(
    "text", ["2026-02-29T00:00:00.000Z", "2026-01-01T24:00:00.000Z", "٢026-01-01T00:00:00.000Z"]
)
def test_what_rfc_3339_does_not_allow_is_no_time(text: str) -> None:
    with pytest.raises(NoTimeError):
        read_time(text)
