"""The messages by which an operator sends a dead letter back, holds it, or replaces it by an edited one. Pure."""

import datetime as dt
from typing import TYPE_CHECKING

from choregraphie.dead_letters.letter import Letter, first_exchange_of, is_trusted
from choregraphie.messaging import ContentHeader, Delivery, HeaderValue, Outgoing
from choregraphie.saga.content_modes import republished_attributes
from choregraphie.saga.topology import (
    ATTEMPT_HEADER,
    DETAIL_HEADER,
    EDITED_HEADER,
    EXCHANGE_HEADER,
    HELD_HEADER,
    LETTER_HEADER,
    ORIGINAL_HEADER,
    REASON_HEADER,
    REPLAYED_HEADER,
    SERVICE_HEADER,
    SET_ASIDE_HEADER,
    SIGNATURE_HEADER,
    dlx,
    requeue,
)
from choregraphie.saga.trace_context import kept_headers

if TYPE_CHECKING:
    from choregraphie.signing.signature import Signer

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# All headers must fit one frame.
_LONGEST_HEADER = 1000
_OWN = (ATTEMPT_HEADER, DETAIL_HEADER, REPLAYED_HEADER, EDITED_HEADER, ORIGINAL_HEADER)


def sent_back(delivery: Delivery, service: str, *, by: str, at: dt.datetime) -> Outgoing:
    """The same bytes for `service` alone. Its tries begin again, and who sent it back is in a header.

    No header of a dead-lettering is kept: RabbitMQ 3 loses a message that meets a queue named in its `x-death`.
    """
    return Outgoing(
        exchange=requeue(service),
        routing_key=delivery.routing_key,
        body=delivery.body,
        properties=delivery.properties.with_id(),
        headers=_origin(delivery, service) | {REPLAYED_HEADER: signed(by, at)},
    )


def as_delivered(delivery: Delivery, service: str) -> Delivery:
    """The dead letter as `service` receives it when it is sent back."""
    message = sent_back(delivery, service, by="", at=_EPOCH)
    header = ContentHeader(message.headers, message.properties)
    return Delivery(0, message.body, requeue(service), message.routing_key, header)


def held(delivery: Delivery, letter: Letter, note: str) -> Outgoing:
    """The same letter for the same dead-letter queue, marked as held. `note`: by whom, when and why."""
    marks: dict[str, HeaderValue] = {HELD_HEADER: note[:_LONGEST_HEADER], LETTER_HEADER: letter.id}
    return _set_aside_again(delivery, letter, delivery.body, marks)


def edited(delivery: Delivery, letter: Letter, body: bytes, note: str, signer: "Signer | None" = None) -> Outgoing:
    """The letter with another body, for the same dead-letter queue; it names the letter in whose place it is.

    `signer`: the operator's, for the signature of the other body is not valid any more.
    """
    marks: dict[str, HeaderValue] = {EDITED_HEADER: note[:_LONGEST_HEADER], ORIGINAL_HEADER: letter.id}
    message = _set_aside_again(delivery, letter, body, marks)
    return signer.sign(message) if signer else message


def signed(by: str, at: dt.datetime, because: str = "") -> str:
    """Who did something, when and why, in one line."""
    reason = f": {because}" if because else ""
    return f"{by} at {at.astimezone(dt.UTC).isoformat(timespec='milliseconds')}{reason}"[:_LONGEST_HEADER]


def _set_aside_again(delivery: Delivery, letter: Letter, body: bytes, marks: dict[str, HeaderValue]) -> Outgoing:
    own = delivery.headers if is_trusted(delivery, letter.service) else {}
    kept = {name: own[name] for name in _OWN if isinstance(own.get(name), str | int)}
    headers = _origin(delivery, letter.service) | {name: _cut(value) for name, value in kept.items()}
    headers |= {REASON_HEADER: letter.reason, SERVICE_HEADER: letter.service}
    if letter.at is not None:
        headers[SET_ASIDE_HEADER] = letter.at.isoformat(timespec="milliseconds")
    return Outgoing(
        exchange=dlx(letter.service),
        routing_key=delivery.routing_key,
        body=body,
        properties=delivery.properties.with_id(),
        headers=headers | marks,
    )


def _origin(delivery: Delivery, service: str) -> dict[str, HeaderValue]:
    """The attributes of binary mode, the exchange of the first delivery, the trace and the signature."""
    headers: dict[str, HeaderValue] = {
        **republished_attributes(delivery.headers, delivery.properties.content_type),
        **kept_headers(delivery.headers),
    }
    if first := first_exchange_of(delivery, service):
        headers[EXCHANGE_HEADER] = first[:_LONGEST_HEADER]
    signature = delivery.headers.get(SIGNATURE_HEADER)
    if isinstance(signature, str):
        headers[SIGNATURE_HEADER] = signature[:_LONGEST_HEADER]
    return headers


def _cut(value: object) -> HeaderValue:
    return value if isinstance(value, int) else str(value)[:_LONGEST_HEADER]
