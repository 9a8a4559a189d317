"""The CloudEvents 1.0 envelope: turns events into bytes and back.

An event class (`CommandeInitiee`, `StockReserve`, …) holds the *data*: the fact itself. The envelope around
it says which occurrence of the fact this is, who said it, when, and in answer to what. Reactions see facts;
only the engine and the monitor see envelopes.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from choregraphie.saga.fields import Identifier, Time, Uri, to_milliseconds
from choregraphie.saga.media_types import is_json, is_utf8

MAX_BODY_BYTES = 256 * 1024
# The type of the validation error of a message whose parts name different instances.
ABOUT_DIFFERS = "about_differs"
CONTENT_TYPE = "application/cloudevents+json"


def _json_media_type(value: Any) -> str:
    """`application/json`, for any media type of JSON. Raises PydanticCustomError for others.

    A null stands for an attribute that is not set (CloudEvents 1.0.2, JSON format, 2.2).
    """
    if value == JSON:
        return JSON  # parsing what nearly every event has would take a tenth of the time of reading it
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


class Instance(NamedTuple):
    """Identifies one saga instance: the name of its saga and its key."""

    saga: str
    key: str


def keys_by_saga(instances: Iterable[Instance]) -> list[tuple[str, list[str]]]:
    """The name of each saga of `instances` with the keys of its instances, both sorted."""
    found: dict[str, set[str]] = {}
    for saga, key in instances:
        found.setdefault(saga, set()).add(key)
    return [(saga, sorted(found[saga])) for saga in sorted(found)]


class Event(BaseModel):
    """A fact about one saga instance.

    A base class per saga names what its events share: SAGA, the saga's name; KEY, the field that is the key;
    REASON, the field in which a refusal says why; GIVEN_UP, what it says there when a step is given up; TOO_LATE,
    what a cancellation says there when an answer did not come in time. Each event
    names its wire type, who says it, and the version of its schema. SAID_TO: of a command, the service that it is
    for.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    SAGA: ClassVar[str]
    KEY: ClassVar[str]
    REASON: ClassVar[str] = "raison"
    GIVEN_UP: ClassVar[str] = "abandon après {tries} essais"
    TOO_LATE: ClassVar[str] = "délai dépassé"
    TYPE: ClassVar[str]
    SAID_BY: ClassVar[str]
    SAID_TO: ClassVar[str] = ""
    VERSION: ClassVar[int] = 1

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        # Such a field would hide the property, and take it as its default.
        if taken := {"key", "instance"} & cls.model_fields.keys():
            raise TypeError(f"{cls.__name__}: a field cannot be named {min(taken)}, which every event has")

    @property
    def key(self) -> str:
        """The key of the instance that it is about."""
        key: str = getattr(self, self.KEY)
        return key

    @property
    def instance(self) -> Instance:
        """The instance that it is about."""
        return Instance(self.SAGA, self.key)

    @classmethod
    @cache
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
    data_base64: Annotated[None, PlainValidator(_no_binary), Field(exclude=True)] = None


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
    def _speaks_of_one_instance(self) -> "Envelope[E]":
        about = (None, self.data.key)
        if self.subject not in about or self.correlationid not in about:
            field = self.data.KEY
            raise PydanticCustomError(
                ABOUT_DIFFERS, "subject, correlationid and data.{field} differ", {"field": field}
            )
        return self

    @property
    def key(self) -> str:
        """The key of the instance that the event is about."""
        return self.data.key

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


@cache
def received_envelope_of(cls: type[Event]) -> "type[Envelope[Any]]":
    """The class of envelopes around `cls` that also checks all that EnvelopeHeader does."""
    checks: Any = {name: (field.annotation, field) for name, field in EnvelopeHeader.model_fields.items()}
    return create_model(f"Received{cls.__name__}", __base__=envelope_of(cls), **checks)


def wrap(event: E, *, id: str, source: str, time: dt.datetime, causationid: str | None = None) -> "Envelope[E]":
    """The envelope of `event`. `time` is aware; it is sent in UTC, to the millisecond."""
    instant = time.astimezone(dt.UTC)
    envelope: Envelope[E] = envelope_of(type(event))(
        id=id,
        type=event.TYPE,
        source=source,
        subject=event.key,
        time=instant.replace(microsecond=instant.microsecond // 1000 * 1000),
        dataschema=event.schema_urn(),
        correlationid=event.key,
        causationid=causationid,
        data=event,
    )
    return envelope


def written(event: Event, *, id: str, source: str, time: dt.datetime, causationid: str | None = None) -> bytes:
    """The bytes of `wrap` with the same arguments, without an envelope: it takes a third of the time.

    What the engine itself gives is valid. Raises ValidationError when the key or the cause is no identifier.
    """
    key = _json(_identifier(event.key))
    said_by, read_as, to_json = _constant(type(event), source)
    cause = "" if causationid is None else f'"causationid":{_json(_identifier(causationid))},'
    around = (
        f'{{"specversion":"1.0","id":{_json(id)},{said_by},"subject":{key},"time":"{_one_time(time)}",{read_as},'
        f'"correlationid":{key},{cause}"data":'
    )
    return around.encode() + to_json(event) + b"}"


# Pydantic's core itself: half of the time of its methods in Python.
_identifier = TypeAdapter[str](Identifier).validator.validate_python
_json = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps would create an encoder for each text
_one_time = lru_cache(maxsize=1)(to_milliseconds)  # the events of a group have one time


@cache
def _constant(cls: type[Event], source: str) -> tuple[str, str, Callable[[Event], bytes]]:
    """What all envelopes of the events of one class have in common, on either side of subject and time; and the
    function that writes their data.
    """
    said_by = f'"type":{_json(cls.TYPE)},"source":{_json(source)}'
    read_as = f'"datacontenttype":"{JSON}","dataschema":{_json(cls.schema_urn())}'
    return said_by, read_as, TypeAdapter(cls).serializer.to_json
