"""Reads equal messages once: in a run each message reaches several services, and many come again."""

from choregraphie.messaging import Delivery, Properties
from choregraphie.pipeline.decoder import Decoder
from choregraphie.saga.envelope import Envelope, Event
from choregraphie.service.service import Service
from choregraphie.service.verdict import DeadLetter
from choregraphie.simulator.queues import ACQUIRED_COUNT, DELIVERY_COUNT
from choregraphie.storage.invocation import Invocation

# What was read of a body, by the type that its routing key promises. Of a run alone.
Envelopes = dict[tuple[str, bytes], Envelope[Event] | None]

# The headers of a delivery that is decoded as it was before it came back.
_COUNTS = frozenset({ACQUIRED_COUNT, DELIVERY_COUNT})


class SharedReading(Decoder):
    """The real decoder. What it read of equal bytes is in `envelopes`, which the services of a run share.

    An envelope and its event are immutable, so nobody sees the difference. Of five, four are found there.
    Of one that comes to the worker again, the invocation is known as well.
    """

    def __init__(self, service: Service, envelopes: Envelopes) -> None:
        super().__init__(service)
        self._envelopes = envelopes
        self._decoded: dict[tuple[str, str, bytes, Properties], Invocation | DeadLetter] = {}

    def _decode(self, delivery: Delivery) -> Invocation | DeadLetter:
        if not delivery.headers.keys() <= _COUNTS:
            return super()._decode(delivery)
        which = delivery.exchange, delivery.routing_key, delivery.body, delivery.properties
        decoded = self._decoded.get(which)
        if decoded is None:
            decoded = self._decoded[which] = super()._decode(delivery)
        return decoded if isinstance(decoded, DeadLetter) else decoded._replace(delivery=delivery)

    def _as_routed(self, type_: str, received: bytes) -> Envelope[Event] | None:
        if self._heard(type_) is None:
            return None
        which = type_, received
        if which not in self._envelopes:
            self._envelopes[which] = super()._as_routed(type_, received)
        return self._envelopes[which]
