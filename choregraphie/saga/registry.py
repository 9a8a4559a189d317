"""Reads any event of a saga from bytes, by its wire type."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from choregraphie.saga.envelope import Envelope, EnvelopeHeader, Event, envelope_of, received_envelope_of


@cache
def adapter(cls: type[Event]) -> TypeAdapter[Envelope[Any]]:
    """The adapter that reads and validates an envelope around `cls`."""
    return TypeAdapter(envelope_of(cls))


@cache
def received_adapter(cls: type[Event]) -> TypeAdapter[Envelope[Any]]:
    """The adapter that also does all that EnvelopeHeader checks, for an event whose type is known beforehand.

    Made when the first event of its type comes: it takes 3 ms.
    """
    return TypeAdapter(received_envelope_of(cls))


def open_envelope(body: bytes, types: Mapping[str, type[Event]]) -> Envelope[Any]:
    """Read an event of one of `types`, which are by wire type.

    Raises pydantic.ValidationError, or KeyError for another type.
    """
    return adapter(types[EnvelopeHeader.model_validate_json(body).type]).validate_json(body)
