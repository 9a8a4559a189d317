"""The invariants about messages, I6 and I8. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.choreography import CHOREOGRAPHY
from scripts.nemesis.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scripts.nemesis.databases import Books
    from scripts.nemesis.history import History, Letter

# What the broker must have, whatever else it has.
QUEUES = tuple(f"{service}.{use}" for service in CHOREOGRAPHY.services for use in ("inbox", "dlq"))


@dataclass(frozen=True)
class Wanted:
    """An event that somebody wanted to say: a client, or a service that decided it."""

    identity: str
    type: str
    commande_id: str | None
    body: bytes
    confirmed: bool
    retried: bool


def wanted(history: History, books: Books) -> dict[str, Wanted]:
    """Every genuine event, by what names it."""
    found: dict[str, Wanted] = {}
    for message in history.genuine:
        facts = message.facts
        if facts.identity and facts.type:
            found[facts.identity] = Wanted(
                facts.identity,
                facts.type,
                facts.commande_id,
                message.body,
                message.confirmed,
                retried=message.tries > 1,
            )
    for kept in books.services.values():
        for row in kept.outbox:
            found[row.identity] = Wanted(
                row.identity, row.type, row.commande_id, row.body, row.said, retried=False
            )
    return found


def missing(history: History, books: Books) -> Iterator[tuple[Wanted, str]]:
    """Each event that was said, with each service that must hear it and has no trace of it."""
    # By its bytes: a forgery may bear the id of a genuine event.
    set_aside: defaultdict[str, set[bytes]] = defaultdict(set)
    for letter in history.letters:
        set_aside[letter.service].add(letter.body)
    for event in wanted(history, books).values():
        for service in CHOREOGRAPHY.hearers(event.type):
            if event.identity not in books.of(service).inbox and event.body not in set_aside[service]:
                yield event, service


def nothing_lost(history: History, books: Books) -> Iterator[Violation]:
    """I6. No unsaid outbox row; each event said is, where it must be heard, in the inbox or set aside."""
    events = wanted(history, books)
    if not events:
        yield Violation("I6", "could not tell: nothing was said")
    if not history.heard:
        yield Violation("I6", "could not tell: the history is empty, or could not be read to its end")
    yield from unsettled(history, books)
    if history.complete:
        yield from _untold(history, events.values())
    for what in unexpected(history, books):
        yield Violation("I6", f"nobody wanted to say {what}")


def unsettled(history: History, books: Books) -> Iterator[Violation]:
    """The part of I6 that time can still mend."""
    unsaid = [(name, row) for name, kept in books.services.items() for row in kept.outbox if not row.said]
    for name, row in unsaid:
        yield Violation("I6", f"{name}: {row.type} {row.identity} of {row.commande_id} was never said")
    for event, service in missing(history, books):
        if event.confirmed:
            yield Violation("I6", f"{service} never heard {event.type} {event.identity}")


def _untold(history: History, events: Iterable[Wanted]) -> Iterator[Violation]:
    for event in events:
        if event.confirmed and event.identity not in history.heard:
            yield Violation("I6", f"the history never heard {event.type} {event.identity}")


def unexpected(history: History, books: Books) -> list[str]:
    """What was heard or said by services though nobody wanted to say it."""
    events = wanted(history, books)
    junk = {message.body for message in history.published}
    found = {
        f"{entry.key} {entry.facts.identity}"
        for entry in history.spoken
        if entry.exchange.endswith(".events") and entry.body not in junk and entry.facts.identity not in events
    }
    for service, kept in books.services.items():
        found |= {f"{event_id}, which {service} heard" for event_id in kept.inbox if event_id not in events}
    return sorted(found)


def dead_letters(history: History, books: Books) -> Iterator[Violation]:
    """I8. Set aside are, with their bytes and the reason, those that had to be, and no others, ever.

    A letter that was sent back and then came through counts as well. And no queue hides a message.
    """
    bodies = {message.body for message in history.published}
    bodies |= {row.body for kept in books.services.values() for row in kept.outbox}
    refused = {(m.body, service): why for m in history.published for service, why in m.refused.items()}
    for letter in history.ever_set_aside:
        expected = refused.get((letter.body, letter.service))
        yield from _letter(letter, bodies, expected, history.may_set_aside)
    yield from not_set_aside(history)
    yield from _queues(history)


def not_set_aside(history: History) -> Iterator[Violation]:
    """What has to be among the dead letters and is not; time can still mend it."""
    found = {(letter.body, letter.service) for letter in history.letters}
    for message in history.published:
        for service, why in message.refused.items():
            if message.confirmed and (message.body, service) not in found:
                yield Violation("I8", f"{service} did not set aside what is {why}: {message.body[:60]!r}")


def _letter(
    letter: Letter, bodies: set[bytes], expected: str | None, allowed: frozenset[str]
) -> Iterator[Violation]:
    shown = f"a dead letter of {letter.service} ({letter.facts.identity or letter.body[:40]!r})"
    if letter.body not in bodies:
        yield Violation("I8", f"{shown} has other bytes than anything that was said")
    reason = letter.reason or letter.broker
    if not reason:
        yield Violation("I8", f"{shown} has no reason")
    elif expected is None and reason not in allowed:
        yield Violation("I8", f"{shown} is genuine, and was set aside as {reason}: {letter.detail or 'no detail'}")
    elif expected is not None and reason != expected:
        yield Violation("I8", f"{shown} is {reason}, and ought to be {expected}")


def _queues(history: History) -> Iterator[Violation]:
    states = {queue.name: queue for queue in history.queues}
    for name in QUEUES:
        if name not in states:
            yield Violation("I8", f"could not tell: no queue {name}")
    for queue in history.queues:
        counts = f"{queue.messages} messages, {queue.ready} ready, {queue.unacked} unacknowledged"
        if not queue.counted:
            yield Violation("I8", f"could not tell: {queue.name} does not say what it holds: {counts}")
        elif queue.hides:
            yield Violation("I8", f"{queue.name} hides messages: {counts}")
