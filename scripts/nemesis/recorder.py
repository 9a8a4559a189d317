"""Reads what the broker holds, by an independent client: the stream, the dead letters, the queues, the monitor."""

from __future__ import annotations

import contextlib
import email
import email.policy
import time
from typing import TYPE_CHECKING, Any

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker

from scripts.nemesis.history import Letter, Link, Mail, QueueState, Spoken
from scripts.nemesis.management import ManagementError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from scripts.nemesis.management import Management

SERVICES = ("stock", "paiement", "commande", "notification")
STREAM = "saga.history"
OFFSET = "x-stream-offset"
# How long nothing may come of a stream that has more to give.
PATIENCE_SECONDS = 30.0
# What a broker writes on a message that it set aside itself; published again with it, a message can vanish.
DEATH_HEADERS = ("x-death", "x-first-death", "x-last-death", "x-delivery-count", "x-acquired-count", "CC", "BCC")

# The subject says which of the three it is; the correction speaks of a cancellation too, so it comes first.
SUBJECTS = {"rectificatif": "rectificatif", "confirmée": "confirmation", "annulée": "annulation"}


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
    """Everything in the history, from its first entry to its last; nothing when its last is not reached."""
    with connection(url) as link:
        last = max((offset for offset, _ in _entries(link, "last", idle_seconds)), default=None)
    found: list[Spoken] = []
    reached = -1
    with connection(url) as link:
        for offset, entry in _entries(link, "first", idle_seconds, until=last):
            found.append(entry)
            reached = offset
    return tuple(found) if last is not None and reached >= last else ()


def _entries(
    link: pika.BlockingConnection, first: str, idle_seconds: float, until: int | None = None
) -> Iterator[tuple[int, Spoken]]:
    """From `first` until no more come and, within a bounded patience, the entry `until` has come."""
    channel = link.channel()
    channel.basic_qos(prefetch_count=500)
    came, reached = time.monotonic(), -1
    arguments = {"x-stream-offset": first}
    for method, properties, body in channel.consume(STREAM, arguments=arguments, inactivity_timeout=idle_seconds):
        if method is not None:
            headers = properties.headers or {}
            came, reached = time.monotonic(), int(headers.get(OFFSET, -1))
            reason, broker = reasons(headers)
            yield reached, Spoken(method.exchange, method.routing_key, body, reason, broker)
            channel.basic_ack(method.delivery_tag)
        elif (reached >= 0 and reached >= (until or 0)) or time.monotonic() - came > PATIENCE_SECONDS:
            return


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
    reason, broker = reasons(headers)
    return Letter(service, body, reason, headers.get("x-saga-detail"), broker)


def reasons(headers: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Why it was set aside, by our own word or else by the broker's: a message that we set aside has no deaths."""
    deaths = headers.get("x-death") or [{}]
    broker = deaths[0].get("reason") or headers.get("x-first-death-reason")
    if broker in {None, "expired"}:
        return headers.get("x-saga-reason"), broker
    return None, broker


def redrive(url: str) -> Iterator[Letter]:
    """Send every dead letter back to the service that set it aside, as an operator would; each before it goes."""
    with connection(url) as link:
        for service in SERVICES:
            out, back = link.channel(), link.channel()
            back.confirm_delivery()
            for method, properties, body in list(_take_all(out, service)):
                yield _letter(service, properties, body)
                headers = {k: v for k, v in (properties.headers or {}).items() if not k.startswith(DEATH_HEADERS)}
                headers.pop("x-saga-attempt", None)  # it is to be tried anew
                properties.headers = headers
                properties.expiration = None
                back.basic_publish(f"{service}.requeue", method.routing_key, body, properties, mandatory=True)
                out.basic_ack(method.delivery_tag)


def read_queues(management: Management) -> tuple[QueueState, ...]:
    """What each queue says of itself; the stream is left out, for it keeps what is read."""
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


def read_links(management: Management, whose: str = "monitor ") -> tuple[Link, ...]:
    """The connections that call themselves `whose`; they are known to the management some seconds late."""
    try:
        named = {row["name"]: row.get("user_provided_name", "") for row in management.connections()}
        channels, consumers = management.channels(), management.consumers()
    except ManagementError:
        return ()
    return tuple(
        Link(
            sum(_part(row, "message_stats").get("publish", 0) for row in channels if _of(row) == name),
            tuple(row["queue"]["name"] for row in consumers if _of(row) == name),
        )
        for name, own in named.items()
        if own.startswith(whose)
    )


def _of(row: dict[str, Any]) -> str | None:
    """The name of the connection to which a channel or a consumer belongs."""
    inside = _part(row, "connection_details").get("name") or _part(row, "channel_details").get("connection_name")
    return str(inside) if inside else None


def _part(row: dict[str, Any], name: str) -> dict[str, Any]:
    """What is not known the broker gives as an empty list."""
    found = row.get(name)
    return found if isinstance(found, dict) else {}


def read_mails(folder: Path) -> tuple[Mail, ...]:
    """Every message that was handed over, read or unread. A customer's address begins with the order's id."""
    files = [file for part in ("new", "cur") if (folder / part).is_dir() for file in (folder / part).iterdir()]
    return tuple(_mail(file.read_bytes()) for file in sorted(files))


def _mail(body: bytes) -> Mail:
    message = email.message_from_bytes(body, policy=email.policy.default)
    subject = str(message["Subject"]).lower()
    modele = next((modele for word, modele in SUBJECTS.items() if word in subject), subject)
    return Mail(str(message["To"]).partition("@")[0], modele)
