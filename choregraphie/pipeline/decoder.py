"""Decodes a delivery: from bytes to the invocation of a handler, or to a dead letter when nobody can ever read it.

The executor carries the invocation out; `pipeline.py` shows the whole way of a delivery.
"""

import re
from dataclasses import dataclass

import structlog
from pydantic import ValidationError

from choregraphie.errors import Reason
from choregraphie.messaging import Delivery, Properties
from choregraphie.process.attribution import shortage
from choregraphie.saga.envelope import ABOUT_DIFFERS, MAX_BODY_BYTES, Envelope, EnvelopeHeader, Event
from choregraphie.saga.media_types import charset, is_utf8
from choregraphie.saga.problems import first_problem
from choregraphie.saga.registry import adapter
from choregraphie.saga.topology import ATTEMPT_HEADER, EXCHANGE_HEADER, TRACEPARENT_HEADER, events, requeue
from choregraphie.service.service import Handler, Service
from choregraphie.service.verdict import DeadLetter
from choregraphie.storage.inbox import EventIdentity, body_hash
from choregraphie.storage.invocation import Invocation

log = structlog.get_logger()

_FIRST_DEATH = "x-first-death-exchange"
_TRACEPARENT = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True)
class Decoder:
    """Reads what arrives at one service."""

    service: Service

    def read(self, delivery: Delivery) -> Invocation | DeadLetter:
        """What to do about `delivery`, or why nobody ever could. Raises ResourceShortage, and nothing else."""
        try:
            return self._read(delivery)
        except Exception as error:
            if (short := shortage(error)) is not None:
                raise short from error
            log.error("message.unreadable", exc_info=error, message_id=delivery.properties.message_id)
            return DeadLetter(Reason.UNREADABLE, f"reading it failed: {type(error).__name__}")

    def _read(self, delivery: Delivery) -> Invocation | DeadLetter:
        if len(delivery.body) > MAX_BODY_BYTES:
            # Before parsing: a parser is the first thing that a huge body hurts.
            return DeadLetter(Reason.TOO_LARGE, f"{len(delivery.body)} bytes; {MAX_BODY_BYTES} at most")
        head = self._head(delivery)
        if isinstance(head, DeadLetter):
            return head
        handler = self.service.on(head.type)
        if handler is None:
            return DeadLetter(Reason.UNKNOWN_TYPE, f"{self.service.name} does not hear {head.type}")
        if head.dataschema is not None and head.dataschema != handler.hears.schema_urn():
            return DeadLetter(Reason.UNKNOWN_VERSION, f"expected {handler.hears.schema_urn()}")
        envelope = self._envelope(delivery.body, handler)
        if isinstance(envelope, DeadLetter):
            return envelope
        return self._wrong_sender(delivery, envelope, handler) or _work(delivery, envelope, handler)

    def _head(self, delivery: Delivery) -> EnvelopeHeader | DeadLetter:
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
        """Only `<s>` may write to `<s>.events`, so the exchange names the sender, whatever the bytes say."""
        came_by = _first_exchange(delivery, self.service.name)
        if envelope.sender != handler.hears.SAID_BY or came_by not in {None, events(envelope.sender)}:
            return DeadLetter(
                Reason.WRONG_SENDER,
                f"{handler.hears.TYPE} is said by {handler.hears.SAID_BY}, and came by {came_by!r}",
            )
        if delivery.exchange == came_by and delivery.routing_key != handler.hears.TYPE:
            # Under another key it reached us and perhaps not the others who hear this type.
            return DeadLetter(Reason.INVALID, f"routing key: not {handler.hears.TYPE}")
        return None


def _first_exchange(delivery: Delivery, service: str) -> str | None:
    """The exchange by which a message first came. On its way back the one that we wrote down counts, so that a
    forgery which an operator sends back is refused again; None when nothing was written down."""
    if delivery.exchange != requeue(service):
        return delivery.exchange
    first = delivery.headers.get(EXCHANGE_HEADER)
    if isinstance(first, str) and first != delivery.exchange:
        return first
    # Set aside by the broker and sent back, it had no such header, and got this exchange's name on its next try.
    # The broker wrote down by which exchange it first came; unless it first died in a retry queue.
    died = delivery.headers.get(_FIRST_DEATH)
    return died if isinstance(died, str) and died.endswith(events("")) else None


def _encoding(properties: Properties) -> str:
    """What the sender says of a body that is not JSON as it stands. A body is read as it is, never decompressed:
    a small one can become endless."""
    encoding = (properties.content_encoding or "").strip().lower()
    if encoding not in {"", "identity", "utf-8", "utf8"}:
        return f": its content encoding is {_shown(encoding)}, and none is read"
    content_type = properties.content_type or ""
    return "" if is_utf8(content_type) else f": its charset is {_shown(charset(content_type) or '')}, not UTF-8"


def _shown(word: str) -> str:
    """What a stranger wrote, as far as it may stand in a line."""
    return word if re.fullmatch(r"[\w.+-]{1,40}", word, re.ASCII) else "not one that is known"


def _work(delivery: Delivery, envelope: Envelope[Event], handler: Handler) -> Invocation:
    return Invocation(
        delivery=delivery,
        handler=handler,
        event=envelope.data,
        identity=EventIdentity(envelope.source, envelope.id),
        body_hash=body_hash(delivery.body),
        attempt=attempt_of(delivery),
        traceparent=_trace(delivery.headers.get(TRACEPARENT_HEADER)),
    )


def _trace(header: object) -> str | None:
    """A traceparent as W3C Trace Context, 3.2, has it, or None: it goes on with everything that is said in answer,
    and one that is too long, or that a database refuses, would keep all of that from being said."""
    return header if isinstance(header, str) and _TRACEPARENT.fullmatch(header) else None


def attempt_of(delivery: Delivery) -> int:
    """Which try this is: 1 for the first. Counted in our own header, and believed only on the way back.

    The broker's own counters say nothing after a dead-lettering on RabbitMQ 4.
    """
    tried = delivery.headers.get(ATTEMPT_HEADER)
    came_back = delivery.exchange.endswith(".requeue")
    return tried + 1 if came_back and isinstance(tried, int) and tried > 0 else 1
