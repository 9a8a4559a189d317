"""Decodes deliveries: bytes become the invocation of a handler, or a dead letter when they can never be read.

The executor executes the invocation; `pipeline.py` shows the whole way of a delivery.
"""

import re
from dataclasses import dataclass

import structlog
from pydantic import ValidationError

from choregraphie.errors import Reason
from choregraphie.messaging import Delivery, Properties
from choregraphie.pipeline.republish import attempt_of, first_exchange
from choregraphie.process.attribution import shortage
from choregraphie.saga.envelope import ABOUT_DIFFERS, MAX_BODY_BYTES, Envelope, EnvelopeHeader, Event
from choregraphie.saga.media_types import charset, is_utf8
from choregraphie.saga.problems import first_problem
from choregraphie.saga.registry import adapter
from choregraphie.saga.topology import TRACEPARENT_HEADER, events
from choregraphie.service.service import Handler, Service
from choregraphie.service.verdict import DeadLetter
from choregraphie.storage.inbox import EventIdentity, body_hash
from choregraphie.storage.invocation import Invocation

log = structlog.get_logger()

_TRACEPARENT = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True)
class Decoder:
    """Decodes the deliveries of one service."""

    service: Service

    def decode(self, delivery: Delivery) -> Invocation | DeadLetter:
        """The invocation that `delivery` asks for, or why it can never be read. Raises ResourceShortage alone."""
        try:
            return self._decode(delivery)
        except Exception as error:
            if (short := shortage(error)) is not None:
                raise short from error
            log.error("message.unreadable", exc_info=error, message_id=delivery.properties.message_id)
            return DeadLetter(Reason.UNREADABLE, f"reading it failed: {type(error).__name__}")

    def _decode(self, delivery: Delivery) -> Invocation | DeadLetter:
        if len(delivery.body) > MAX_BODY_BYTES:
            # Before parsing, which takes time and memory for a huge body.
            return DeadLetter(Reason.TOO_LARGE, f"{len(delivery.body)} bytes; {MAX_BODY_BYTES} at most")
        header = self._header(delivery)
        if isinstance(header, DeadLetter):
            return header
        handler = self.service.on(header.type)
        if handler is None:
            return DeadLetter(Reason.UNKNOWN_TYPE, f"{self.service.name} does not hear {header.type}")
        if header.dataschema is not None and header.dataschema != handler.hears.schema_urn():
            return DeadLetter(Reason.UNKNOWN_VERSION, f"expected {handler.hears.schema_urn()}")
        envelope = self._envelope(delivery.body, handler)
        if isinstance(envelope, DeadLetter):
            return envelope
        return self._wrong_sender(delivery, envelope, handler) or _invocation(
            delivery, envelope, handler, self.service.name
        )

    def _header(self, delivery: Delivery) -> EnvelopeHeader | DeadLetter:
        try:
            return EnvelopeHeader.model_validate_json(delivery.body)
        except ValidationError as error:
            kind = error.errors(include_url=False, include_input=False)[0]["type"]
            if kind == "json_invalid":
                return DeadLetter(Reason.UNREADABLE, f"not JSON{_encoding(delivery.properties)}")
            return DeadLetter(Reason.INVALID, first_problem(error))
        except RecursionError:
            return DeadLetter(Reason.UNREADABLE, "nested too deeply")

    def _envelope(self, body: bytes, handler: Handler) -> Envelope[Event] | DeadLetter:
        try:
            return adapter(handler.hears).validate_json(body)
        except ValidationError as error:
            if any(detail["type"] == ABOUT_DIFFERS for detail in error.errors(include_input=False)):
                return DeadLetter(Reason.SUBJECT_MISMATCH, "subject, correlationid and data.commande_id differ")
            return DeadLetter(Reason.INVALID, first_problem(error))

    def _wrong_sender(self, delivery: Delivery, envelope: Envelope[Event], handler: Handler) -> DeadLetter | None:
        """Only `<s>` may write to `<s>.events`, so the exchange names the sender, whatever the body claims."""
        came_by = first_exchange(delivery, self.service.name)
        if envelope.sender != handler.hears.SAID_BY or came_by not in {None, events(envelope.sender)}:
            return DeadLetter(
                Reason.WRONG_SENDER,
                f"{handler.hears.TYPE} is said by {handler.hears.SAID_BY}, and came by {came_by!r}",
            )
        if delivery.exchange == came_by and delivery.routing_key != handler.hears.TYPE:
            # With another key it may not have reached the other services that hear this type.
            return DeadLetter(Reason.INVALID, f"routing key: not {handler.hears.TYPE}")
        return None


def _encoding(properties: Properties) -> str:
    """Why a body that is not JSON is none: the encoding or charset that its properties name.

    A body is never decompressed: a small one can expand without a bound.
    """
    encoding = (properties.content_encoding or "").strip().lower()
    if encoding not in {"", "identity", "utf-8", "utf8"}:
        return f": its content encoding is {_printable(encoding)}, and none is read"
    content_type = properties.content_type or ""
    return (
        "" if is_utf8(content_type) else f": its charset is {_printable(charset(content_type) or '')}, not UTF-8"
    )


def _printable(word: str) -> str:
    """`word`, which an unknown sender wrote, if it is short and plain enough for a log line."""
    return word if re.fullmatch(r"[\w.+-]{1,40}", word, re.ASCII) else "not one that is known"


def _invocation(delivery: Delivery, envelope: Envelope[Event], handler: Handler, service: str) -> Invocation:
    return Invocation(
        delivery=delivery,
        handler=handler,
        event=envelope.data,
        identity=EventIdentity(envelope.source, envelope.id),
        body_hash=body_hash(delivery.body),
        attempt=attempt_of(delivery, service),
        traceparent=_trace(delivery.headers.get(TRACEPARENT_HEADER)),
    )


def _trace(header: object) -> str | None:
    """`header` if it is a traceparent (W3C Trace Context, 3.2), otherwise None.

    It is stored and published with every event that answers this one. A header that is too long, or that the
    database refuses, would block them all.
    """
    return header if isinstance(header, str) and _TRACEPARENT.fullmatch(header) else None
