"""Every event there is, by wire type; and reading any of them from bytes."""

from functools import cache
from typing import Any

from pydantic import TypeAdapter

from contracts.choreography import CHOREOGRAPHY
from contracts.envelope import Envelope, Head, Said, envelope_of

EVENTS: dict[str, type[Said]] = {cls.TYPE: cls for cls in CHOREOGRAPHY.events}


@cache
def adapter(cls: type[Said]) -> TypeAdapter[Envelope[Any]]:
    """What reads and checks an envelope around `cls`."""
    return TypeAdapter(envelope_of(cls))


def open_envelope(body: bytes) -> Envelope[Any]:
    """Read any event. Raises pydantic.ValidationError, or KeyError when its type is unknown."""
    return adapter(EVENTS[Head.model_validate_json(body).type]).validate_json(body)
