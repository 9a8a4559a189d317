"""The CloudEvents 1.0 envelope: turns events into bytes and back.

An event class (`CommandeInitiee`, `StockReserve`, …) holds the *data*: the fact itself. The envelope around
it says which occurrence of the fact this is, who said it, when, and in answer to what. Reactions see facts;
only the runtime and the monitor see envelopes.
"""

import datetime as dt
import math
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from choregraphie.saga.media_types import is_json, is_utf8
from choregraphie.saga.rfc3339 import NoTimeError, NoZoneError, read_time

MAX_BODY_BYTES = 256 * 1024
# The type of the validation error of a message whose parts name different orders.
ABOUT_DIFFERS = "about_differs"
CONTENT_TYPE = "application/cloudevents+json"

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


def _to_milliseconds(time: dt.datetime) -> str:
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
    PlainSerializer(_to_milliseconds, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def _json_media_type(value: Any) -> str:
    """`application/json`, for any media type of JSON. Raises PydanticCustomError for others.

    A null stands for an attribute that is not set (CloudEvents 1.0.2, JSON format, 2.2).
    """
    if value is not None and not (isinstance(value, str) and is_json(value)):
        raise PydanticCustomError("json_media_type", "expected application/json")
    if value is not None and not is_utf8(value):
        raise PydanticCustomError("utf8_charset", "expected the charset utf-8")
    return JSON


def _no_binary(value: Any) -> None:
    if value is not None:
        raise PydanticCustomError("binary_data", "expected JSON in data")


JSON = "application/json"
JsonMediaType = Annotated[
    str,
    PlainValidator(_json_media_type),
    WithJsonSchema({"const": JSON, "type": "string"}),
]


class Event(BaseModel):
    """A fact about one order. Each subclass names its wire type, who says it, and the version of its schema."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    TYPE: ClassVar[str]
    SAID_BY: ClassVar[str]
    VERSION: ClassVar[int] = 1

    commande_id: Identifier

    @classmethod
    def schema_urn(cls) -> str:
        return f"urn:choregraphie:{cls.TYPE}:{cls.VERSION}"


E = TypeVar("E", bound=Event)

_OPTIONAL = ("subject", "time", "dataschema", "correlationid", "causationid")


class EnvelopeHeader(BaseModel):
    """The part of an envelope that says how to read the rest."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    specversion: Literal["1.0"]
    type: Identifier
    dataschema: Annotated[str, Field(max_length=200)] | None = None
    data_base64: Annotated[None, PlainValidator(_no_binary)] = None


class Envelope(BaseModel, Generic[E]):
    """One occurrence of an event, as it is sent.

    Required is only what CloudEvents requires (id, source, type) and the data, so that a foreign client needs
    nothing but a JSON library. Attributes that it does give must agree with the data.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    specversion: Literal["1.0"] = "1.0"
    id: Identifier
    type: Identifier
    source: Uri
    subject: Identifier | None = None
    time: Time | None = None
    datacontenttype: JsonMediaType = JSON
    dataschema: Annotated[str, Field(max_length=200)] | None = None
    correlationid: Identifier | None = None
    causationid: Identifier | None = None
    data: E

    @model_validator(mode="after")
    def _speaks_of_one_order(self) -> "Envelope[E]":
        about = (None, self.data.commande_id)
        if self.subject not in about or self.correlationid not in about:
            raise PydanticCustomError(ABOUT_DIFFERS, "subject, correlationid and data.commande_id differ")
        return self

    @property
    def commande_id(self) -> str:
        return self.data.commande_id

    @property
    def sender(self) -> str:
        """The service whose exchange this event must come through: `stock`, …, or `client`."""
        kind, _, name = self.source.removeprefix("/").partition("/")
        return "client" if kind == "clients" else name.partition("/")[0]

    def to_bytes(self) -> bytes:
        # An absent attribute is left out. A null in the data is kept: it means "there was nothing to release".
        absent = {name for name in _OPTIONAL if getattr(self, name) is None}
        return self.model_dump_json(exclude=absent).encode()


@cache
def envelope_of(cls: type[Event]) -> "type[Envelope[Any]]":
    """The class of envelopes around `cls`, cached for good.

    Pydantic forgets a generic class that nothing refers to, and making it again takes 4 ms.
    """
    return Envelope[cls]  # type: ignore[valid-type]  # a type checker does not know a class made at run time


def wrap(event: E, *, id: str, source: str, time: dt.datetime, causationid: str | None = None) -> "Envelope[E]":
    """The envelope of `event`. `time` is aware; it is sent in UTC, to the millisecond."""
    instant = time.astimezone(dt.UTC)
    envelope: Envelope[E] = envelope_of(type(event))(
        id=id,
        type=event.TYPE,
        source=source,
        subject=event.commande_id,
        time=instant.replace(microsecond=instant.microsecond // 1000 * 1000),
        dataschema=event.schema_urn(),
        correlationid=event.commande_id,
        causationid=causationid,
        data=event,
    )
    return envelope
