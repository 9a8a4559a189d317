"""Reads the events of a history from bytes, each parsed once, and knows what the monitor keeps of each type."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from choregraphie.saga.choreography import Choreography
from choregraphie.saga.envelope import Envelope, EnvelopeHeader, Event
from choregraphie.saga.orchestrator_part import AWAITED
from choregraphie.saga.registry import adapter, received_adapter
from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import exchange_of


@dataclass(frozen=True, slots=True)
class KnownType:
    """What the monitor keeps of the events of one type, as names of data fields.

    exchange   the one by which its speaker says it
    decides    tells which decision it answers; of an orchestrator's request for a person, which answer is missing
    undone     of an answer to an undoing: what was undone, by its id; a null says that there was nothing
    searched   those by which an instance is found
    """

    event: type[Event]
    saga: str
    schema: str
    exchange: str
    decides: str | None
    undone: tuple[str, ...]
    searched: tuple[str, ...]

    @classmethod
    def of(cls, event: type[Event], saga: Choreography) -> "KnownType":
        ids = tuple(name for name in event.model_fields if name.endswith("_id") and name != event.KEY)
        deciding = saga.decision_field.name if saga.decision_field else None
        return cls(
            event=event,
            saga=saga.name,
            schema=event.schema_urn(),
            exchange=exchange_of(event),
            decides=AWAITED if event is saga.review else deciding,
            undone=ids if event.TYPE in saga.undoing_types else (),
            searched=tuple(name for name in saga.searched if name in event.model_fields),
        )

    def nothing_undone(self, data: Mapping[str, object]) -> bool:
        """Whether the answer to an undoing says that nothing was undone: all that it names by an id is null."""
        return bool(self.undone) and not any(data[name] for name in self.undone)


class EventReader:
    """Reads the events of `sagas`."""

    def __init__(self, sagas: SagaSet) -> None:
        self._known = {
            type_: KnownType.of(event, saga) for saga in sagas for type_, event in saga.event_types.items()
        }

    def read(self, received: bytes, type_: str) -> tuple[KnownType, Envelope[Any]] | EnvelopeHeader:
        """The event in `received`; its header alone when its type or version is not known.

        `type_` is the likely type, by the routing key: as such it is parsed in one pass. Raises ValidationError or
        RecursionError.
        """
        known = self._known.get(type_)
        if known is not None and (envelope := _as_expected(known, received)):
            return known, envelope
        head = EnvelopeHeader.model_validate_json(received)
        known = self._known.get(head.type)
        if known is None or head.dataschema not in {None, known.schema}:
            return head
        return known, adapter(known.event).validate_json(received)


def _as_expected(known: KnownType, received: bytes) -> Envelope[Any] | None:
    """The envelope, if it is a valid one of that type and version."""
    try:
        envelope = received_adapter(known.event).validate_json(received)
    except ValidationError:
        return None
    as_expected = envelope.type == known.event.TYPE and envelope.dataschema in {None, known.schema}
    return envelope if as_expected else None
