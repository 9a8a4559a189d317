"""The records of what operators do: published to the exchange of the operators, kept in the audit stream."""

import base64
import datetime as dt
import getpass
import json
import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from choregraphie.dead_letters.letter import Letter
from choregraphie.messaging import Outgoing, Properties
from choregraphie.printable import printable
from choregraphie.saga.topology import OPERATORS

# Enough for every message that a service reads; of a longer one the beginning is kept.
MOST_BYTES_KEPT = 1024 * 1024
_JSON = "application/json"


class Act(StrEnum):
    """What an operator did."""

    REPLAYED = "replayed"
    HELD = "held"
    DISCARDED = "discarded"
    EDITED = "edited"
    SETTLED = "settled"


# The acts after which a dead letter needs nobody any more; one that is set aside again is another letter.
ENDING = frozenset({Act.REPLAYED, Act.DISCARDED, Act.EDITED})


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts, from where, under which user of the broker."""

    name: str
    broker_user: str


def operator_name() -> str:
    """The user and the host of this process: `alice@ops-1`."""
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        user = f"uid-{os.getuid()}"
    return printable(f"{user}@{socket.gethostname()}")[:100]


def record(
    act: Act, letter: Letter, operator: Operator, at: dt.datetime, *, because: str = "", **more: Any
) -> Outgoing:
    """The record of an act about a dead letter. `more`: JSON values."""
    about = {
        "letter": letter.id,
        "service": letter.service,
        "reason": letter.reason,
        "detail": letter.detail,
        "type": letter.type,
        "event_id": letter.event_id,
        "source": letter.source,
        "saga": letter.saga,
        "key": letter.key,
    }
    return act_record(act, operator, at, because, about | more)


def act_record(act: Act, operator: Operator, at: dt.datetime, because: str, about: Mapping[str, Any]) -> Outgoing:
    """The record of any act."""
    said: dict[str, Any] = {
        "act": act.value,
        "by": operator.name,
        "broker_user": operator.broker_user,
        "at": at.astimezone(dt.UTC).isoformat(timespec="milliseconds"),
        "because": because,
        **about,
    }
    return Outgoing(
        exchange=OPERATORS,
        routing_key=act.value,
        body=json.dumps(said, ensure_ascii=False).encode(errors="replace"),
        properties=Properties(
            message_id=str(uuid.uuid4()), type=act.value, app_id="operator", timestamp=at, content_type=_JSON
        ),
    )


def bytes_kept(body: bytes, headers: Mapping[str, object]) -> dict[str, Any]:
    """The bytes and headers of a message, as a record keeps them."""
    return {
        "size": len(body),
        "body_base64": base64.b64encode(body[:MOST_BYTES_KEPT]).decode(),
        "headers": {printable(name)[:255]: printable(str(value))[:1000] for name, value in headers.items()},
    }


def read_record(body: bytes) -> dict[str, Any] | None:
    """The record in an entry of the audit stream; None when it cannot be read."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("act"), str) else None
