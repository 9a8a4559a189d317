"""Why a message is a dead letter, in words for a person who has never read this code. Pure."""

import datetime as dt
import re

from choregraphie.terminal.formats import format_duration

_BECAUSE = {
    "exhausted": "every try failed",
    "delivery_limit": "it was delivered again and again, and never settled",
    "unreadable": "it cannot be read",
    "invalid": "it is not valid",
    "unknown_type": "the service does not handle its type",
    "unknown_version": "the service does not know this version of its type",
    "subject_mismatch": "it names more than one key",
    "wrong_sender": "its sender may not publish it",
    "signature": "it has no valid signature of its speaker",
    "id_collision": "another message has the same id",
    "too_large": "it is too large",
    "rejected": "a consumer rejected it",
    "expired": "it waited too long in a queue",
    "maxlen": "its queue was full",
    "unknown": "nothing says why",
}
# Why an entry of the history is ignored, after a number or a colon.
IGNORED_WORDS = {
    "unknown": "of an unknown type",
    "unreadable": "not a valid event",
    "untrusted": "not by its sender's exchange",
    "unsigned": "without a valid signature of its speaker",
    "unsigned_record": "a record without a valid signature of an operator",
    "excess": "one of very many of its key",
    "held": "a dead letter that an operator holds",
}
# The detail that older workers wrote: a field, and pydantic's name for what is wrong with it.
_FIELD = re.compile(r"([^\s:]+): ([a-z0-9]+(?:_[a-z0-9]+)*)")
_PLACES = {"envelope": "the message", "data": "its data"}
_WRONG = {
    "missing": "is missing",
    "model_type": "is not a JSON object",
    "model_attributes_type": "is not a JSON object",
    "string_type": "is not a text",
    "string_too_short": "is too short",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "holds a character that it may not",
    "literal_error": "is none of the values that it may have",
    "int_type": "is not a whole number",
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "greater_than": "is too small",
    "greater_than_equal": "is too small",
    "less_than": "is too large",
    "less_than_equal": "is too large",
    "finite_number": "is not a number",
    "decimal_type": "is not a number",
    "decimal_parsing": "is not a number",
    "decimal_max_places": "has too many decimals",
    "decimal_max_digits": "has too many digits",
    "decimal_whole_digits": "has too many digits",
    "rfc3339_time": "is not a time",
    "datetime_type": "is not a time",
    "datetime_parsing": "is not a time",
    "datetime_from_date_parsing": "is not a time",
    "timezone_aware": "is a time without a zone",
    "json_media_type": "is not JSON",
    "utf8_charset": "names another charset than UTF-8",
    "binary_data": "is not read: an event's data is JSON",
}


def because(reason: str, detail: str) -> str:
    """Why a message was set aside, as a clause: `every try failed (ConnectionError: gateway)`.

    A reason that is not in the table is shown as it is, with spaces for its underscores.
    """
    more = _plain(detail[:200]) if reason == "invalid" else detail[:200]
    return f"{because_label(reason)}{f' ({more})' if more else ''}"


def because_label(reason: str) -> str:
    """The reason alone."""
    return _BECAUSE.get(reason, reason.replace("_", " "))


def flag_words(flag: str, noun: str) -> str:
    """A flag or the kind of an anomaly in words; `noun`: what an instance is called."""
    return flag.lower().replace("repeated_start", f"repeated {noun}").replace("_", " ")


def _plain(detail: str) -> str:
    told = _FIELD.fullmatch(detail)
    if told is None:
        return detail
    place, wrong = told.groups()
    return f"{_PLACES.get(place, place)} {_WRONG.get(wrong, 'is wrong')}"


def span(time: dt.timedelta) -> str:
    """A duration as every screen shows it."""
    return format_duration(time.total_seconds() * 1000)
