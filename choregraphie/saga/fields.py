"""The types of an event's fields: bounded texts, numbers, amounts and times, as they are on the wire."""

import datetime as dt
import math
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from choregraphie.saga.rfc3339 import NoTimeError, NoZoneError, read_time

# No control characters in an identifier or a reason: PostgreSQL cannot store NUL, and U+009B starts a terminal
# sequence as ESC does. Nor characters that change the writing direction: they make a text look like another one.
_UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
_PRINTABLE = rf"^[^{_UNPRINTABLE}]+$"

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=_PRINTABLE)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=_PRINTABLE)]
Uri = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=rf"^/[^ {_UNPRINTABLE}]*$")]


def _whole(value: Any, info: ValidationInfo) -> Any:
    """JSON has one kind of number: 2.0 is an integer (JSON Schema 2020-12, validation, 6.1.1)."""
    number = isinstance(value, Decimal) or (isinstance(value, float) and info.mode == "json")
    whole = number and math.isfinite(value) and abs(value) <= _LARGEST and value == int(value)
    return int(value) if whole else value


def _from_number(value: Any, info: ValidationInfo) -> Any:
    """The Decimal of an amount. On the wire an amount is a number; in Python it is never a float."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int | float):
        return None  # rejected by the next validator; it would accept a text
    if isinstance(value, float):
        if info.mode != "json":
            raise ValueError("an amount is a Decimal, never a float")
        value = Decimal(repr(value))
    return value or Decimal(0)  # -0.0 becomes 0


def _to_number(amount: Decimal) -> float:
    # Exact: an amount has at most nine digits, a float has fifteen.
    return float(amount)


def _shown(least: str) -> WithJsonSchema:
    return WithJsonSchema({least: 0, "maximum": _LARGEST, "type": "number", "description": "at most 2 decimals"})


_LARGEST = 1_000_000
Quantity = Annotated[int, Field(strict=True, ge=1, le=_LARGEST), BeforeValidator(_whole)]
# Outside the bounds: inside, pydantic would check each bound with a Python function.
_READ = BeforeValidator(_from_number)
_WRITTEN = PlainSerializer(_to_number, return_type=float, when_used="json")
_POSITIVE = Field(gt=0, le=_LARGEST, decimal_places=2, allow_inf_nan=False)
_NOT_NEGATIVE = Field(ge=0, le=_LARGEST, decimal_places=2, allow_inf_nan=False)
Amount = Annotated[Decimal, _POSITIVE, _READ, _WRITTEN, _shown("exclusiveMinimum")]
AmountOrZero = Annotated[Decimal, _NOT_NEGATIVE, _READ, _WRITTEN, _shown("minimum")]


def to_milliseconds(time: dt.datetime) -> str:
    """A time as it is on the wire: in UTC, cut to the millisecond."""
    return time.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _from_rfc3339(value: Any) -> dt.datetime:
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None:
            return value
        value = value.isoformat()
    try:
        return read_time(value if isinstance(value, str) else "")
    except NoZoneError as error:
        raise PydanticCustomError("timezone_aware", "{why}", {"why": str(error)}) from None
    except NoTimeError as error:
        raise PydanticCustomError("rfc3339_time", "{why}", {"why": str(error)}) from None


Time = Annotated[
    dt.datetime,
    PlainValidator(_from_rfc3339),
    PlainSerializer(to_milliseconds, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
