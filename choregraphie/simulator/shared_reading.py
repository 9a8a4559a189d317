"""Reads equal messages once: in a run each message reaches several services, and many come again."""

from choregraphie.pipeline.decoder import Decoder
from choregraphie.saga.envelope import Envelope, Event
from choregraphie.service.service import Service

# What was read of a body, by the type that its routing key promises. Of a run alone.
Envelopes = dict[tuple[str, bytes], Envelope[Event] | None]


class SharedReading(Decoder):
    """The real decoder. What it read of equal bytes is in `envelopes`, which the services of a run share.

    An envelope and its event are immutable, so nobody sees the difference. Of five deliveries four are found here.
    """

    def __init__(self, service: Service, envelopes: Envelopes) -> None:
        super().__init__(service)
        self._envelopes = envelopes

    def _as_routed(self, type_: str, received: bytes) -> Envelope[Event] | None:
        if self._heard(type_) is None:
            return None
        which = type_, received
        if which not in self._envelopes:
            self._envelopes[which] = super()._as_routed(type_, received)
        return self._envelopes[which]
