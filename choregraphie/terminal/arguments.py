"""What the command lines share: the parser, common options, and times as people type them."""

import argparse
import datetime as dt
import re
from typing import Never

from choregraphie.errors import UserError
from choregraphie.saga.rfc3339 import NoTimeError, read_time


class Parser(argparse.ArgumentParser):
    """An ArgumentParser without the usage text in its errors."""

    def error(self, message: str) -> Never:
        """Print the error after the program's name and leave with exit code 2."""
        program = self.prog.removeprefix("python -m ").partition(" ")[0].removesuffix(".py")
        self.exit(2, f"{program}: {message} ({self.prog} --help explains)\n")


def add_json(command: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    command.add_argument("--json", action="store_true", help="for a program")


def add_wide(command: argparse.ArgumentParser) -> None:
    """Add `--wide`."""
    command.add_argument("--wide", action="store_true", help="every column, and ids and times in full")


def key_text(text: str) -> str:
    """The argument as a key. Raises ArgumentTypeError when it is empty, or not UTF-8, which no database takes."""
    if not text:
        raise argparse.ArgumentTypeError("expected a key, which has a character at least")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("expected a key in UTF-8") from None
    return text


_AGO = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DAYS_AGO = {"today": 0, "yesterday": 1}
TIME_EXAMPLES = "10m, 2h, 7d, today, yesterday, 2026-11-22, 2026-11-22T18:47 or 2026-11-22T18:47:00+01:00"


class BadMoment(UserError):
    """A time that cannot be read, that is in the future, or before 1970."""


def moment_of(text: str, now: dt.datetime) -> dt.datetime:
    """The time that `text` means, in UTC, which is also the zone of a time without an offset.

    A day means its beginning. Raises BadMoment, in one line.
    """
    ago = _AGO.fullmatch(text)
    try:
        moment = now - dt.timedelta(**{_UNITS[ago[2]]: int(ago[1])}) if ago else _written(text, now)
    except (ValueError, OverflowError):
        raise BadMoment(f"{text[:50]!r} is not a time; expected one such as {TIME_EXAMPLES}") from None
    if moment < _EARLIEST:
        raise BadMoment(f"{text[:50]!r} is before 1970, and nothing was said then")
    if moment > now:
        raise BadMoment(f"{text[:50]!r} has not come yet: it is {now:%Y-%m-%d %H:%M:%S} UTC")
    return moment


def past_time(text: str) -> dt.datetime:
    """The type of an argument: the time that `text` means now, as `moment_of` reads it."""
    try:
        return moment_of(text, dt.datetime.now(dt.UTC))
    except BadMoment as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def day_of(text: str, now: dt.datetime) -> dt.date | None:
    """The day (UTC) that `text` names: `2026-11-22`, `today` or `yesterday`, in any case; None for other texts."""
    name = text.strip().lower()
    if name in _DAYS_AGO:
        return now.astimezone(dt.UTC).date() - dt.timedelta(days=_DAYS_AGO[name])
    try:
        return dt.date.fromisoformat(name) if _DAY.fullmatch(name) else None
    except ValueError:
        return None


def _written(text: str, now: dt.datetime) -> dt.datetime:
    if (day := day_of(text, now)) is not None:
        return dt.datetime.combine(day, dt.time(), dt.UTC)
    try:
        return read_time(text, dt.UTC).astimezone(dt.UTC)
    except NoTimeError:
        # People may leave parts out: ISO 8601 has a date alone, and a time without seconds.
        moment = dt.datetime.fromisoformat(text)
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
