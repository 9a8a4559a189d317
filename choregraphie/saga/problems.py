"""Describes what is wrong with a field in one sentence, without its value, which may be secret or long."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

_PLACES = {"": "the message", "data": "its data"}
# By the type of the Pydantic error. The braces hold bounds that our models declare.
_SENTENCES = {
    "missing": "is missing",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "string_type": "must be a text",
    "string_too_short": "must have at least {min_length} character{s}",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "holds a character that is not allowed",
    "literal_error": "must be {expected}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "has too many digits",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "finite_number": "must be a number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "decimal_max_places": "must have at most {decimal_places} decimals",
    "decimal_max_digits": "has too many digits",
    "decimal_whole_digits": "has too many digits",
    "datetime_type": "must be a time such as 2026-11-22T18:47:00Z",
    "datetime_parsing": "must be a time such as 2026-11-22T18:47:00Z",
    "datetime_from_date_parsing": "must be a time such as 2026-11-22T18:47:00Z",
    "datetime_object_invalid": "must be a time such as 2026-11-22T18:47:00Z",
    "rfc3339_time": "must be a time such as 2026-11-22T18:47:00Z",
    "json_media_type": "must be application/json",
    "utf8_charset": "must name no other charset than utf-8",
    "binary_data": "is not read: the data of an event is JSON, in data",
    "timezone_aware": "must be a time with its zone, such as 2026-11-22T18:47:00Z",
}
_OTHERWISE = "is not valid"


def first_problem(error: ValidationError) -> str:
    """The first problem of `error`, such as `data.montant must be greater than 0`; at most 300 characters."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part)[:50] for part in first["loc"])
    return f"{_PLACES.get(place, place)} {problem(first['type'], first.get('ctx', {}))}"[:300]


def problem(type_: str, bounds: Mapping[str, Any]) -> str:
    """The problem for a type of Pydantic error, without the field: `must be greater than 0`."""
    sentence = _SENTENCES.get(type_, _OTHERWISE)
    try:
        return sentence.format(**{name: _bound(value) for name, value in bounds.items()}, s=_plural(bounds))
    except KeyError:  # the error lacks the bound that its sentence names
        return _OTHERWISE


def _bound(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | Decimal) else str(value)


def _plural(bounds: Mapping[str, Any]) -> str:
    return "" if bounds.get("min_length") == 1 else "s"
