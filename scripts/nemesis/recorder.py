"""Reads stream, dead letters, queues and connections through an independent client, and the mail folder."""

from __future__ import annotations

import contextlib
import email
import email.policy
import time
from typing import TYPE_CHECKING, Any

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker

from scripts.nemesis.history import STREAM, DeadLetter, Mail, MonitorConnection, QueueState, StreamEntry
from scripts.nemesis.management import ManagementError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from scripts.nemesis.management import Management

OFFSET = "x-stream-offset"
# How long the stream may be silent while it has more to deliver.
STREAM_PATIENCE_SECONDS = 30.0
# Written by a broker that dead-letters a message; a message published again with them can vanish.
DEATH_HEADERS = ("x-death", "x-first-death", "x-last-death", "x-delivery-count", "x-acquired-count", "CC", "BCC")

# Which of the three mails it is. "rectificatif" comes first: its subject mentions the cancellation too.
SUBJECTS = {"rectificatif": "rectificatif", "confirmée": "confirmation", "annulée": "annulation"}


# Under an alarm the broker takes no message, and whoever waits for it may be who ends the alarm.
BLOCKED_SECONDS = 10


@contextlib.contextmanager
def connect(url: str) -> Iterator[pika.BlockingConnection]:
    """A connection. What it publishes raises ConnectionBlockedTimeout after BLOCKED_SECONDS under an alarm."""
    parameters = pika.URLParameters(url)
    parameters.heartbeat = 0
    parameters.blocked_connection_timeout = BLOCKED_SECONDS
    connection = pika.BlockingConnection(parameters)
    try:
        yield connection
    finally:
        with contextlib.suppress(AMQPError, OSError):
            connection.close()


def read_stream(url: str, idle_seconds: float = 1.0) -> tuple[StreamEntry, ...]:
    """Every entry of the history stream; empty when its last entry could not be reached."""
    with connect(url) as connection:
        last = max((offset for offset, _ in _entries(connection, "last", idle_seconds)), default=None)
    entries: list[StreamEntry] = []
    reached = -1
    with connect(url) as connection:
        for offset, entry in _entries(connection, "first", idle_seconds, until=last):
            entries.append(entry)
            reached = offset
    return tuple(entries) if last is not None and reached >= last else ()


def _entries(
    connection: pika.BlockingConnection, first: str, idle_seconds: float, until: int | None = None
) -> Iterator[tuple[int, StreamEntry]]:
    """Entries from `first` on, until none come any more and the entry `until` has come, within a time limit."""
    channel = connection.channel()
    channel.basic_qos(prefetch_count=500)
    last_arrival, reached = time.monotonic(), -1
    arguments = {"x-stream-offset": first}
    for method, properties, body in channel.consume(STREAM, arguments=arguments, inactivity_timeout=idle_seconds):
        if method is not None:
            headers = properties.headers or {}
            last_arrival, reached = time.monotonic(), int(headers.get(OFFSET, -1))
            reason, broker = reasons(headers)
            yield reached, StreamEntry(method.exchange, method.routing_key, body, reason, broker)
            channel.basic_ack(method.delivery_tag)
        elif (
            reached >= 0 and reached >= (until or 0)
        ) or time.monotonic() - last_arrival > STREAM_PATIENCE_SECONDS:
            return


def read_dead_letters(url: str, services: Sequence[str]) -> tuple[DeadLetter, ...]:
    """The dead letters of `services`. They stay in their queues."""
    dead_letters: list[DeadLetter] = []
    with connect(url) as connection:
        for service in services:
            channel = connection.channel()
            with contextlib.suppress(ChannelClosedByBroker):  # a queue that does not exist holds nothing
                dead_letters += [
                    _dead_letter(service, properties, body) for _, properties, body in _take_all(channel, service)
                ]
                channel.close()  # unacknowledged messages return to their queue
    return tuple(dead_letters)


def _take_all(channel: Any, service: str) -> Iterator[tuple[Any, Any, bytes]]:
    while True:
        method, properties, body = channel.basic_get(f"{service}.dlq")
        if method is None:
            return
        yield method, properties, body


def _dead_letter(service: str, properties: pika.BasicProperties, body: bytes) -> DeadLetter:
    headers = dict(properties.headers or {})
    reason, broker = reasons(headers)
    return DeadLetter(service, body, reason, headers.get("x-saga-detail"), broker)


def reasons(headers: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Our reason and the broker's for a dead letter: only a message dead-lettered by the broker has deaths."""
    deaths = headers.get("x-death") or [{}]
    broker = deaths[0].get("reason") or headers.get("x-first-death-reason")
    if broker in {None, "expired"}:
        return headers.get("x-saga-reason"), broker
    return None, broker


def redrive(url: str, services: Sequence[str]) -> Iterator[DeadLetter]:
    """Send every dead letter back to its service as an operator would. Yields each one before it is sent."""
    with connect(url) as connection:
        for service in services:
            out, back = connection.channel(), connection.channel()
            back.confirm_delivery()
            for method, properties, body in list(_take_all(out, service)):
                yield _dead_letter(service, properties, body)
                headers = {k: v for k, v in (properties.headers or {}).items() if not k.startswith(DEATH_HEADERS)}
                headers.pop("x-saga-attempt", None)  # its tries start again at one
                properties.headers = headers
                properties.expiration = None
                back.basic_publish(f"{service}.requeue", method.routing_key, body, properties, mandatory=True)
                out.basic_ack(method.delivery_tag)


def read_queues(management: Management) -> tuple[QueueState, ...]:
    """The state of each queue. Without the stream, which keeps what was read."""
    try:
        rows = management.queues()
    except ManagementError:
        return ()
    return tuple(
        QueueState(
            row["name"],
            row.get("messages"),
            row.get("messages_ready"),
            row.get("messages_unacknowledged"),
            row.get("consumers"),
        )
        for row in rows
        if row["name"] != STREAM
    )


def read_monitor_connections(
    management: Management, name_prefix: str = "monitor "
) -> tuple[MonitorConnection, ...]:
    """The connections whose client-given name begins with `name_prefix`. They are listed some seconds late."""
    try:
        named = {row["name"]: row.get("user_provided_name", "") for row in management.connections()}
        channels, consumers = management.channels(), management.consumers()
    except ManagementError:
        return ()
    return tuple(
        MonitorConnection(
            sum(
                _object(row, "message_stats").get("publish", 0) for row in channels if _connection_of(row) == name
            ),
            tuple(row["queue"]["name"] for row in consumers if _connection_of(row) == name),
        )
        for name, user_name in named.items()
        if user_name.startswith(name_prefix)
    )


def _connection_of(row: dict[str, Any]) -> str | None:
    """The name of the connection that a channel or consumer belongs to."""
    inside = _object(row, "connection_details").get("name") or _object(row, "channel_details").get(
        "connection_name"
    )
    return str(inside) if inside else None


def _object(row: dict[str, Any], name: str) -> dict[str, Any]:
    """A part of a management row. The API gives an unknown part as an empty list."""
    value = row.get(name)
    return value if isinstance(value, dict) else {}


def read_mails(folder: Path) -> tuple[Mail, ...]:
    """Every mail in the Maildir, read or unread. A customer's address begins with the order's id."""
    files = [file for part in ("new", "cur") if (folder / part).is_dir() for file in (folder / part).iterdir()]
    return tuple(_mail(file.read_bytes()) for file in sorted(files))


def _mail(body: bytes) -> Mail:
    message = email.message_from_bytes(body, policy=email.policy.default)
    subject = str(message["Subject"]).lower()
    modele = next((modele for word, modele in SUBJECTS.items() if word in subject), subject)
    return Mail(str(message["To"]).partition("@")[0], modele)
