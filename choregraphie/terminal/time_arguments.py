"""Times as people type them on a command line: `10m` for ten minutes ago, or a date and time."""

import datetime as dt
import re

from choregraphie.errors import UserError
from choregraphie.saga.rfc3339 import NoTimeError, read_time

_AGO = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
TIME_EXAMPLES = "10m, 2h, 7d, 2026-11-22, 2026-11-22T18:47 or 2026-11-22T18:47:00+01:00"


class BadMoment(UserError):
    """A moment that cannot be read, that has not come yet, or of before anything could be said."""


def moment_of(text: str, now: dt.datetime) -> dt.datetime:
    """The moment that `text` means, in UTC; a time without an offset is in UTC, as everything shown is.

    Raises BadMoment, in one line.
    """
    ago = _AGO.fullmatch(text)
    try:
        moment = now - dt.timedelta(**{_UNITS[ago[2]]: int(ago[1])}) if ago else _written(text)
    except (ValueError, OverflowError):
        raise BadMoment(f"{text[:50]!r} is not a time; expected one such as {TIME_EXAMPLES}") from None
    if moment < _EARLIEST:
        raise BadMoment(f"{text[:50]!r} is before 1970, and nothing was said then")
    if moment > now:
        raise BadMoment(f"{text[:50]!r} has not come yet: it is {now:%Y-%m-%d %H:%M:%S} UTC")
    return moment


def _written(text: str) -> dt.datetime:
    try:
        return read_time(text, dt.UTC).astimezone(dt.UTC)
    except NoTimeError:
        # A person need not write all of it: ISO 8601 has a date alone, and a time without seconds.
        moment = dt.datetime.fromisoformat(text)
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
