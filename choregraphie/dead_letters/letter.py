"""A dead letter as an operator sees it: its id, its reason, and what can be read of its event. Pure.

Nothing here raises for what a message holds.
"""

import datetime as dt
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from choregraphie.messaging import Delivery
from choregraphie.printable import printable
from choregraphie.saga.content_modes import NotAnEnvelope, envelope_bytes, header_attributes, is_binary
from choregraphie.saga.envelope import MAX_BODY_BYTES
from choregraphie.saga.rfc3339 import NoTimeError, NoZoneError, read_time, utc
from choregraphie.saga.saga_set import SagaSet
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
    SET_ASIDE_HEADER,
    inbox,
    is_of_first_delivery,
    requeue,
)

_DEATHS = "x-death"
# Written by the broker: a service removes them from whatever it publishes.
_BROKERS_OWN = (_DEATHS, "x-first-death-reason")
_CRASH_LOOP = "delivery_limit"
_LONGEST = 500
_ID_BYTES = 6
_ID = re.compile(rf"[0-9a-f]{{{2 * _ID_BYTES}}}")
# What differs between two letters of one fault: quoted values, and words with a digit in them.
_VALUE = re.compile(r"'[^']*'|\"[^\"]*\"|\S*\d\S*")


@dataclass(frozen=True, slots=True)
class Letter:
    """What is known of a dead letter without its bytes. Texts are printable.

    `at`: when it was set aside; the time of its message where that is not known. `held`, `edited` and `replayed`:
    who did so, when and why; empty when nobody did. `original`: the id of the letter that was edited.
    `event_id`, `type`, `source`, `saga` and `key` are None when they cannot be read.
    """

    service: str
    id: str
    reason: str
    detail: str
    at: dt.datetime | None
    size: int
    routing_key: str
    type: str | None = None
    event_id: str | None = None
    source: str | None = None
    saga: str | None = None
    key: str | None = None
    held: str = ""
    edited: str = ""
    original: str = ""
    replayed: str = ""

    @property
    def pattern(self) -> str:
        """The detail without the values that differ from letter to letter."""
        named = [name for name in (self.key, self.event_id) if name]
        text = self.detail
        for name in named:
            text = text.replace(name, "…")
        return _VALUE.sub("…", text)

    @property
    def fingerprint(self) -> str:
        """The same for all letters of one fault: of one service, reason, type and pattern."""
        return _digest(self.service, self.reason, self.type or "", self.pattern)[:8]


def read_letter(delivery: Delivery, service: str, sagas: SagaSet) -> Letter:
    """The letter that `delivery` from the dead-letter queue of `service` holds."""
    headers = delivery.headers
    own = headers if is_trusted(delivery, service) else {}
    message = _readable(delivery)
    saga, key = _about(message, sagas)
    return Letter(
        service=service,
        id=letter_id(service, delivery.routing_key, headers, delivery.properties.content_type, delivery.body),
        reason=reason_of(headers),
        detail=_text(own.get(DETAIL_HEADER)),
        at=_set_aside_at(delivery, own),
        size=len(delivery.body),
        routing_key=_text(delivery.routing_key),
        type=_named(message.get("type")),
        event_id=_named(message.get("id")),
        source=_named(message.get("source")),
        saga=saga,
        key=key,
        held=_text(own.get(HELD_HEADER)),
        edited=_text(own.get(EDITED_HEADER)),
        original=_text(own.get(ORIGINAL_HEADER)),
        replayed=_text(own.get(REPLAYED_HEADER)),
    )


def letter_id(
    service: str, routing_key: str, headers: Mapping[str, object], content_type: str | None, body: bytes
) -> str:
    """The id of a dead letter, derived from what the queue and the history stream both keep of it.

    Letters that are alike in all of that have one id: they are copies of one another.
    """
    by_service = not is_brokers_own(headers)
    marked = headers.get(LETTER_HEADER)
    if by_service and HELD_HEADER in headers and isinstance(marked, str) and _ID.fullmatch(marked):
        return marked
    own = [headers.get(SET_ASIDE_HEADER), headers.get(ATTEMPT_HEADER), headers.get(EDITED_HEADER)]
    attributes = header_attributes(headers) if is_binary(headers, content_type) else {}
    known = [str(value or "") for value in own] if by_service else []
    return _digest(service, routing_key, *known, json.dumps(attributes, sort_keys=True), body=body)


def first_exchange_of(delivery: Delivery, service: str) -> str | None:
    """The exchange by which the message of a dead letter first came; None when nothing says it.

    Of a letter that the broker made, the broker's own record counts: our header may be forged on a message that
    no service has republished.
    """
    for death in _deaths(delivery.headers):
        came_by = death.get("exchange")
        if death.get("queue") == inbox(service) and isinstance(came_by, str) and came_by != requeue(service):
            return came_by
    first = delivery.headers.get(EXCHANGE_HEADER)
    if isinstance(first, str):
        return first
    died = delivery.headers.get("x-first-death-exchange")
    return died if isinstance(died, str) and is_of_first_delivery(died) else None


def is_trusted(delivery: Delivery, service: str) -> bool:
    """Whether our headers on a dead letter are ours: a service, or the tool of an operator, has published it."""
    deaths = [death for death in _deaths(delivery.headers) if death.get("queue") == inbox(service)]
    if deaths:
        return deaths[0].get("exchange") == requeue(service)
    return not is_brokers_own(delivery.headers)


def is_brokers_own(headers: Mapping[str, object]) -> bool:
    """Whether the broker made the dead letter with these headers, and no service."""
    return any(name in headers for name in _BROKERS_OWN)


def reason_of(headers: Mapping[str, object]) -> str:
    """Why a message was set aside: a service's own reason, or the broker's; `unknown` when nothing says it."""
    if not is_brokers_own(headers):
        return _text(headers.get(REASON_HEADER)) or "unknown"
    deaths = _deaths(headers)
    reason = _text(deaths[0].get("reason") if deaths else headers.get("x-first-death-reason"))
    # A retry whose delay is over "expires"; what ends in a dead-letter queue was refused by an inbox.
    return reason if reason and reason != "expired" else _CRASH_LOOP


def _deaths(headers: Mapping[str, object]) -> list[Mapping[str, Any]]:
    deaths = headers.get(_DEATHS)
    return [death for death in deaths if isinstance(death, Mapping)] if isinstance(deaths, list) else []


def _set_aside_at(delivery: Delivery, own: Mapping[str, object]) -> dt.datetime | None:
    written = own.get(SET_ASIDE_HEADER)
    deaths = _deaths(delivery.headers)
    if isinstance(written, str):
        try:
            return utc(read_time(written))
        except (NoTimeError, NoZoneError):
            return None
    died = deaths[0].get("time") if deaths else None
    time = died if isinstance(died, dt.datetime) else delivery.properties.timestamp
    return utc(time)


def _readable(delivery: Delivery) -> Mapping[str, Any]:
    """The envelope of a message that may be bad, or its attributes; empty when nothing can be read."""
    if len(delivery.body) > MAX_BODY_BYTES:
        return {}
    try:
        found = json.loads(envelope_bytes(delivery.headers, delivery.properties.content_type, delivery.body))
    except NotAnEnvelope:
        found = header_attributes(delivery.headers)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _about(message: Mapping[str, Any], sagas: SagaSet) -> tuple[str | None, str | None]:
    """The saga and the key of the instance that a message is about, as far as they can be read."""
    type_ = message.get("type")
    saga = sagas.of_type(type_) if isinstance(type_, str) else None
    data = message.get("data")
    fields = data if isinstance(data, dict) else {}
    for one in [saga] if saga else sagas:
        if key := _named(fields.get(one.key)):
            return one.name, key
    return saga.name if saga else None, _named(message.get("subject"))


def _named(value: object) -> str | None:
    return _text(value) or None if isinstance(value, str) and len(value) <= _LONGEST else None


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value[:_LONGEST].decode(errors="replace")
    return printable(value[:_LONGEST]) if isinstance(value, str) else ""


def _digest(*parts: str, body: bytes = b"") -> str:
    text = "\x1f".join(parts).encode(errors="replace")
    return hashlib.blake2b(text + b"\x1f" + body, digest_size=_ID_BYTES).hexdigest()
