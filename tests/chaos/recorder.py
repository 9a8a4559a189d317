"""Reads what the broker holds, by an independent client: the stream, the dead letters, the queues."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker

from tests.chaos.history import Letter, QueueState, Spoken
from tests.support.management import ManagementError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.management import Management

SERVICES = ("stock", "paiement", "commande", "notification")
STREAM = "saga.history"
# What a broker writes on a message that it set aside itself; published again with it, a message can vanish.
DEATH_HEADERS = ("x-death", "x-first-death", "x-last-death", "x-delivery-count", "x-acquired-count", "CC", "BCC")


@contextlib.contextmanager
def connection(url: str) -> Iterator[pika.BlockingConnection]:
    parameters = pika.URLParameters(url)
    parameters.heartbeat = 0
    link = pika.BlockingConnection(parameters)
    try:
        yield link
    finally:
        with contextlib.suppress(AMQPError, OSError):
            link.close()


def read_stream(url: str, idle_seconds: float = 1.0) -> tuple[Spoken, ...]:
    """Everything in the history, from its first entry until no more come."""
    found: list[Spoken] = []
    with connection(url) as link:
        channel = link.channel()
        channel.basic_qos(prefetch_count=500)
        arguments = {"x-stream-offset": "first"}
        for method, _, body in channel.consume(STREAM, arguments=arguments, inactivity_timeout=idle_seconds):
            if method is None:
                break
            found.append(Spoken(method.exchange, method.routing_key, body))
            channel.basic_ack(method.delivery_tag)
    return tuple(found)


def read_letters(url: str) -> tuple[Letter, ...]:
    """The dead letters of every service; they stay where they are."""
    found: list[Letter] = []
    with connection(url) as link:
        for service in SERVICES:
            channel = link.channel()
            with contextlib.suppress(ChannelClosedByBroker):  # a queue that is not there holds nothing
                found += [
                    _letter(service, properties, body) for _, properties, body in _take_all(channel, service)
                ]
                channel.close()  # what was taken and not acknowledged goes back
    return tuple(found)


def _take_all(channel: Any, service: str) -> Iterator[tuple[Any, Any, bytes]]:
    while True:
        method, properties, body = channel.basic_get(f"{service}.dlq")
        if method is None:
            return
        yield method, properties, body


def _letter(service: str, properties: pika.BasicProperties, body: bytes) -> Letter:
    headers = dict(properties.headers or {})
    broker = headers.get("x-first-death-reason")
    return Letter(service, body, headers.get("x-saga-reason"), headers.get("x-saga-detail"), broker)


def redrive(url: str) -> int:
    """Send every dead letter back to the service that set it aside, as an operator would; how many."""
    number = 0
    with connection(url) as link:
        for service in SERVICES:
            out, back = link.channel(), link.channel()
            back.confirm_delivery()
            for method, properties, body in list(_take_all(out, service)):
                headers = {k: v for k, v in (properties.headers or {}).items() if not k.startswith(DEATH_HEADERS)}
                headers.pop("x-saga-attempt", None)  # it is to be tried anew
                properties.headers = headers
                properties.expiration = None
                back.basic_publish(f"{service}.requeue", method.routing_key, body, properties, mandatory=True)
                out.basic_ack(method.delivery_tag)
                number += 1
    return number


def read_queues(management: Management) -> tuple[QueueState, ...]:
    """What each queue says of itself; the stream is left out, for it keeps what is read."""
    try:
        rows = management.queues()
    except ManagementError:
        return ()
    return tuple(
        QueueState(
            row["name"],
            row.get("messages", 0),
            row.get("messages_ready", 0),
            row.get("messages_unacknowledged", 0),
            row.get("consumers", 0),
        )
        for row in rows
        if row["name"] != STREAM
    )
