"""Reads times as RFC 3339 defines them, for the wire and for command lines."""

import datetime as dt
import re

LONGEST = 64

# RFC 3339, 5.6, with what its notes allow: `t` and `z`, a space in place of the T, second 60.
_DATE_TIME = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[Tt ]"
    r"(?P<minute>(?:[01]\d|2[0-3]):[0-5]\d):(?P<second>[0-5]\d|60)"
    r"(?:\.(?P<fraction>\d+))?"
    r"(?P<offset>[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)?",
    re.ASCII,
)
# As nearly every event gives its time. What Python itself reads, it reads in a third of the time.
_USUAL = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z", re.ASCII)


# No event was said outside of these years. Within them, days can be added to a time and subtracted from it.
_EARLIEST, _LATEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC), dt.datetime(9000, 1, 1, tzinfo=dt.UTC)


class NoTimeError(ValueError):
    """It is no date-time of RFC 3339."""


class NoZoneError(ValueError):
    """It does not say its offset from UTC."""


def read_time(text: str, assumed: dt.tzinfo | None = None) -> dt.datetime:
    """The instant that `text` means, to the microsecond. `assumed`: the zone of a time without an offset.

    A leap second is the last microsecond of the second before it: Python has no second 60, and the day stays the
    same. It is read wherever it stands: the grammar allows it, and which days have one is not known beforehand.
    Raises NoTimeError, or NoZoneError without an offset where none is assumed.
    """
    if _USUAL.fullmatch(text):
        return _of_day(text)
    found = _DATE_TIME.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        raise NoTimeError("expected a time such as 2026-11-22T18:47:00Z")
    offset = found["offset"]
    if offset is None and assumed is None:
        raise NoZoneError("expected a time with an offset, such as 2026-11-22T18:47:00Z")
    leap = found["second"] == "60"
    second = "59" if leap else found["second"]
    fraction = "999999" if leap else ((found["fraction"] or "") + "000000")[:6]
    zone = "+00:00" if offset in {"Z", "z"} else offset or ""
    time = _of_day(f"{found['date']}T{found['minute']}:{second}.{fraction}{zone}")
    return time if time.tzinfo else time.replace(tzinfo=assumed)


def _of_day(text: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        raise NoTimeError("there is no such day") from None


def utc(time: dt.datetime | None) -> dt.datetime | None:
    """`time` in UTC; None without a time, and for one before 1970 or after 8999, when no event was said."""
    if time is None:
        return None
    if time.tzinfo is not dt.UTC:
        try:
            time = time.astimezone(dt.UTC) if time.tzinfo else time.replace(tzinfo=dt.UTC)
        except OverflowError:
            return None
    return time if _EARLIEST <= time < _LATEST else None
