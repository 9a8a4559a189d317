"""How a contender's first message looks on the wire: an order as its own client would send it."""

from __future__ import annotations

import json
import uuid
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pamqp import commands
from pamqp.common import FieldTable

from scripts.benchmarks.system.amqp import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

INITIEE = "commande.initiee"
HEARERS = ("stock", "commande")


class Message(NamedTuple):
    exchange: str
    routing_key: str
    properties: commands.Basic.Properties
    body: bytes


def celery(order: bytes) -> Iterable[Message]:
    """A task message of protocol 2, on the topic exchange."""
    id_ = str(uuid.uuid4())
    embedded = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    properties = commands.Basic.Properties(
        content_type="application/json",
        content_encoding="utf-8",
        delivery_mode=2,
        message_id=id_,
        correlation_id=id_,
        headers={"lang": "py", "task": INITIEE, "id": id_, "root_id": id_, "argsrepr": "()", "retries": 0},
    )
    yield Message("client.events", INITIEE, properties, json.dumps([[order.decode()], {}, embedded]).encode())


def dramatiq(order: bytes) -> Iterable[Message]:
    """A message for each of those who hear it: Dramatiq publishes to queues, and knows no exchange."""
    for queue in HEARERS:
        id_ = str(uuid.uuid4())
        message = {
            "queue_name": queue,
            "actor_name": INITIEE,
            "args": [order.decode()],
            "kwargs": {},
            "options": {},
        }
        body = json.dumps(message | {"message_id": id_, "message_timestamp": 0}).encode()
        yield Message("", queue, commands.Basic.Properties(delivery_mode=2, message_id=id_), body)


def taskiq(order: bytes) -> Iterable[Message]:
    """A task message on the topic exchange."""
    id_ = str(uuid.uuid4())
    message = {"task_id": id_, "task_name": INITIEE, "labels": {}, "args": [order.decode()], "kwargs": {}}
    headers: FieldTable = {"task_id": id_, "task_name": INITIEE}
    properties = commands.Basic.Properties(delivery_mode=2, message_id=id_, headers=headers)
    yield Message("client.events", INITIEE, properties, json.dumps(message).encode())


def frames(kind: Callable[[bytes], Iterable[Message]], order: bytes) -> bytes:
    """The frames of the messages that an order takes."""
    return b"".join(
        Route(message.exchange, message.routing_key, message.properties).frames(
            message.body, message.properties.message_id or ""
        )
        for message in kind(order)
    )


# The others take the envelope itself.
FORMATS: dict[str, Callable[[bytes], bytes]] = {
    kind.__name__: partial(frames, kind) for kind in (celery, dramatiq, taskiq)
}
