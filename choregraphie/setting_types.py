"""The types of settings that are written as text: lists of seconds and of names, an age, one of a few words."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

# While an inbox is held, a worker keeps its prefetch unacknowledged. RabbitMQ ends its session for that every 30
# minutes (`consumer_timeout`), which counts towards the delivery limit of 20: 12 times in six hours.
LONGEST_HOLD_SECONDS = 21_600


def _seconds(value: object) -> object:
    if isinstance(value, str):
        try:
            return tuple(float(part) for part in value.split(",") if part.strip())
        except ValueError:
            raise ValueError("expected seconds with commas between them, such as 1,5,30") from None
    return value


def _names(value: object) -> object:
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


def _timeouts(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    try:
        return {name.strip(): float(seconds) for name, _, seconds in pairs}
    except ValueError:
        raise ValueError("expected steps with seconds, such as paiement=30,stock=10") from None


def age_seconds(max_age: str) -> int:
    """The seconds of an `x-max-age`, as RabbitMQ reads it (`unit_value_in_ms` in rabbit_amqqueue.erl)."""
    return int(max_age[:-1]) * _AGE_UNITS[max_age[-1]]


_AGE_UNITS = {"Y": 365 * 86_400, "M": 30 * 86_400, "D": 86_400, "h": 3600, "m": 60, "s": 1}
Delays = Annotated[tuple[Annotated[float, Field(ge=0.001, le=86_400)], ...], BeforeValidator(_seconds)]
Names = Annotated[tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,253}$")], ...], BeforeValidator(_names)]
StepTimeouts = Annotated[
    Mapping[str, Annotated[float, Field(gt=0, le=2_592_000)]],
    BeforeValidator(_timeouts),
    Field(description="seconds for orchestrated steps to answer in, other than declared: `paiement=30,stock=10`"),
]
Lane = Annotated[
    Literal["auto", "lean", "public"],
    Field(
        description="how messages pass: `lean` reads and writes their frames itself, `public` through the "
        "client; `auto` is lean where the client is a known version"
    ),
]
TraceMode = Annotated[
    Literal["off", "links", "saga"],
    Field(description="OpenTelemetry: `links` joins the traces of an instance, `saga` makes them one"),
]
