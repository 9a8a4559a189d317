"""The checkers of messages, I6 and I8. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.nemesis.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scripts.nemesis.databases import Databases
    from scripts.nemesis.history import DeadLetter, History


@dataclass(frozen=True)
class ExpectedEvent:
    """An event that a client or a service was to publish."""

    identity: str
    type: str
    commande_id: str | None
    body: bytes
    confirmed: bool
    retried: bool


def expected_events(history: History, databases: Databases) -> dict[str, ExpectedEvent]:
    """Every genuine event, by identity."""
    result: dict[str, ExpectedEvent] = {}
    for message in history.genuine:
        fields = message.fields
        if fields.identity and fields.type:
            result[fields.identity] = ExpectedEvent(
                fields.identity,
                fields.type,
                fields.commande_id,
                message.body,
                message.confirmed,
                retried=message.tries > 1,
            )
    for tables in databases.services.values():
        for row in tables.outbox:
            result[row.identity] = ExpectedEvent(
                row.identity, row.type, row.commande_id, row.body, row.published, retried=False
            )
    return result


def undelivered(history: History, databases: Databases) -> Iterator[tuple[ExpectedEvent, str]]:
    """Each event with each service that must hear it and has neither handled nor dead-lettered it."""
    # By its bytes: a forged message may carry the id of a genuine event.
    dead_lettered: defaultdict[str, set[bytes]] = defaultdict(set)
    for dead_letter in history.dead_letters:
        dead_lettered[dead_letter.service].add(dead_letter.body)
    for event in expected_events(history, databases).values():
        for service in history.saga.hearers(event.type):
            if event.identity not in databases.of(service).inbox and event.body not in dead_lettered[service]:
                yield event, service


def nothing_lost(history: History, databases: Databases) -> Iterator[Violation]:
    """I6. No unpublished outbox row; each published event is in the inbox or dead letters of every hearer."""
    events = expected_events(history, databases)
    if not events:
        yield Violation("I6", "could not tell: nothing was published")
    if not history.event_ids:
        yield Violation("I6", "could not tell: the history is empty, or could not be read to its end")
    yield from unfinished_deliveries(history, databases)
    if history.complete:
        yield from _missing_from_history(history, events.values())
    for what in unexpected_events(history, databases):
        yield Violation("I6", f"unexpected event: {what}")


def unfinished_deliveries(history: History, databases: Databases) -> Iterator[Violation]:
    """The part of I6 that is not final: waiting may still fix it."""
    unpublished = [
        (name, row) for name, tables in databases.services.items() for row in tables.outbox if not row.published
    ]
    for name, row in unpublished:
        yield Violation("I6", f"{name}: {row.type} {row.identity} of {row.commande_id} was never published")
    for event, service in undelivered(history, databases):
        if event.confirmed:
            yield Violation("I6", f"{service} never received {event.type} {event.identity}")


def _missing_from_history(history: History, events: Iterable[ExpectedEvent]) -> Iterator[Violation]:
    for event in events:
        if event.confirmed and event.identity not in history.event_ids:
            yield Violation("I6", f"the history lacks {event.type} {event.identity}")


def unexpected_events(history: History, databases: Databases) -> list[str]:
    """Events in the stream or an inbox that no client or service was to publish."""
    events = expected_events(history, databases)
    junk = {message.body for message in history.published}
    result = {
        f"{entry.key} {entry.fields.identity}"
        for entry in history.stream
        if entry.said and entry.body not in junk and entry.fields.identity not in events
    }
    for service, tables in databases.services.items():
        result |= {f"{event_id}, received by {service}" for event_id in tables.inbox if event_id not in events}
    return sorted(result)


def dead_letters(history: History, databases: Databases) -> Iterator[Violation]:
    """I8. Exactly the messages that must be dead-lettered ever were, with their bytes and the reason.

    A message that was dead-lettered, sent back and then handled counts too. No queue hides a message.
    """
    bodies = {message.body for message in history.published}
    bodies |= {row.body for tables in databases.services.values() for row in tables.outbox}
    refused = {(m.body, service): reason for m in history.published for service, reason in m.refused.items()}
    for dead_letter in history.all_dead_letters:
        expected = refused.get((dead_letter.body, dead_letter.service))
        yield from _check_dead_letter(dead_letter, bodies, expected, history.allowed_reasons)
    yield from missing_dead_letters(history)
    yield from _queues(history)


def missing_dead_letters(history: History) -> Iterator[Violation]:
    """Messages that must be dead-lettered and are not yet; waiting may still fix it."""
    result = {(dead_letter.body, dead_letter.service) for dead_letter in history.dead_letters}
    for message in history.published:
        for service, reason in message.refused.items():
            if message.confirmed and (message.body, service) not in result:
                yield Violation(
                    "I8", f"{service} did not dead-letter a message that is {reason}: {message.body[:60]!r}"
                )


def _check_dead_letter(
    dead_letter: DeadLetter, bodies: set[bytes], expected: str | None, allowed: frozenset[str]
) -> Iterator[Violation]:
    label = f"a dead letter of {dead_letter.service} ({dead_letter.fields.identity or dead_letter.body[:40]!r})"
    if dead_letter.body not in bodies:
        yield Violation("I8", f"{label} has other bytes than every published message")
    reason = dead_letter.reason or dead_letter.broker
    if not reason:
        yield Violation("I8", f"{label} has no reason")
    elif expected is None and reason not in allowed:
        yield Violation(
            "I8", f"{label} is genuine but was dead-lettered as {reason}: {dead_letter.detail or 'no detail'}"
        )
    elif expected is not None and reason != expected:
        yield Violation("I8", f"{label} is {reason}, and should be {expected}")


def _queues(history: History) -> Iterator[Violation]:
    states = {queue.name: queue for queue in history.queues}
    required = [f"{service}.{use}" for service in history.saga.services for use in ("inbox", "dlq")]
    for name in required:
        if name not in states:
            yield Violation("I8", f"could not tell: no queue {name}")
    for queue in history.queues:
        counts = f"{queue.messages} messages, {queue.ready} ready, {queue.unacked} unacknowledged"
        if not queue.counted:
            yield Violation("I8", f"could not tell: {queue.name} does not report its messages: {counts}")
        elif queue.hides:
            yield Violation("I8", f"{queue.name} hides messages: {counts}")
