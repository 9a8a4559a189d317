"""The events of the order saga by wire type, and a reader for any of them."""

from typing import Any

from choregraphie.saga import registry
from choregraphie.saga.envelope import Envelope, Event
from contracts.choreography import CHOREOGRAPHY

EVENTS: dict[str, type[Event]] = CHOREOGRAPHY.event_types


def open_envelope(body: bytes) -> Envelope[Any]:
    """Read any event of the saga. Raises pydantic.ValidationError, or KeyError when its type is unknown."""
    return registry.open_envelope(body, EVENTS)
