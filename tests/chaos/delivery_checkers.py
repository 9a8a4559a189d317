"""The invariants about messages and processes, I6, I8 and I10, and the figures. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.choreography import CHOREOGRAPHY
from tests.chaos.history import EXHAUSTED, History, Letter
from tests.chaos.verdicts import Figures, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.chaos.books import Books

# A worker idles at a few tens of descriptors and below 120 MB; leaks grow without bound.
MOST_DESCRIPTORS = 80
MOST_MEGABYTES = 300
LONGEST_LEAVING_SECONDS = 30

HEARERS: dict[str, frozenset[str]] = {
    event.TYPE: frozenset(r.service for r in CHOREOGRAPHY.reactions if r.hears is event)
    for event in CHOREOGRAPHY.events
}


@dataclass(frozen=True)
class Wanted:
    """An event that somebody wanted to say: a client, or a service that decided it."""

    event_id: str
    type: str
    body: bytes
    confirmed: bool
    retried: bool


def wanted(history: History, books: Books) -> dict[str, Wanted]:
    """Every genuine event by id."""
    found: dict[str, Wanted] = {}
    for message in history.genuine:
        facts = message.facts
        if facts.event_id and facts.type:
            found[facts.event_id] = Wanted(
                facts.event_id, facts.type, message.body, message.confirmed, message.tries > 1
            )
    for kept in books.services.values():
        for row in kept.outbox:
            found[row.event_id] = Wanted(row.event_id, row.type, row.body, row.said, retried=False)
    return found


def missing(history: History, books: Books) -> Iterator[tuple[Wanted, str]]:
    """Each event that was said, with each service that must hear it and has no trace of it."""
    # By its bytes: a forgery may bear the id of a genuine event.
    set_aside: defaultdict[str, set[bytes]] = defaultdict(set)
    for letter in history.letters:
        set_aside[letter.service].add(letter.body)
    for event in wanted(history, books).values():
        for service in HEARERS.get(event.type, frozenset()):
            if event.event_id not in books.of(service).inbox and event.body not in set_aside[service]:
                yield event, service


def nothing_lost(history: History, books: Books) -> Iterator[Violation]:
    """I6. No unsaid outbox row; each event said is, where it must be heard, in the inbox or set aside."""
    events = wanted(history, books)
    if not events:
        yield Violation("I6", "could not tell: nothing was said")
    yield from unfinished(history, books)
    if history.complete:
        yield from _untold(history, events.values())
    for what in unexpected(history, books):
        yield Violation("I6", f"nobody wanted to say {what}")


def unfinished(history: History, books: Books) -> Iterator[Violation]:
    """The part of I6 that time can still mend."""
    unsaid = [(name, row) for name, kept in books.services.items() for row in kept.outbox if not row.said]
    for name, row in unsaid:
        yield Violation("I6", f"{name}: {row.type} {row.event_id} of {row.commande_id} was never said")
    for event, service in missing(history, books):
        if event.confirmed:
            yield Violation("I6", f"{service} never heard {event.type} {event.event_id}")


def _untold(history: History, events: Iterable[Wanted]) -> Iterator[Violation]:
    told = {entry.facts.event_id for entry in history.spoken if entry.exchange.endswith(".events")}
    for event in events:
        if event.confirmed and event.event_id not in told:
            yield Violation("I6", f"the history never heard {event.type} {event.event_id}")


def unexpected(history: History, books: Books) -> list[str]:
    """What was heard or said by services though nobody wanted to say it."""
    events = wanted(history, books)
    junk = {message.body for message in history.published}
    found = {
        f"{entry.key} {entry.facts.event_id}"
        for entry in history.spoken
        if entry.exchange.endswith(".events") and entry.body not in junk and entry.facts.event_id not in events
    }
    for service, kept in books.services.items():
        found |= {f"{event_id}, which {service} heard" for event_id in kept.inbox if event_id not in events}
    return sorted(found)


def dead_letters(history: History, books: Books) -> Iterator[Violation]:
    """I8. Bytes as they came, with a reason, what had to be set aside is; and no queue hides a message."""
    bodies = {message.body for message in history.published}
    bodies |= {row.body for kept in books.services.values() for row in kept.outbox}
    refused = {(m.body, service): why for m in history.published for service, why in m.refused.items()}
    for letter in history.letters:
        yield from _letter(letter, bodies, refused.get((letter.body, letter.service)))
    found = {(letter.body, letter.service) for letter in history.letters}
    for message in history.published:
        for service, why in message.refused.items():
            if message.confirmed and (message.body, service) not in found:
                yield Violation("I8", f"{service} did not set aside what is {why}: {message.body[:60]!r}")
    if not history.queues:
        yield Violation("I8", "could not tell: no queues")
    for queue in history.queues:
        if queue.messages != queue.ready + queue.unacked:
            counts = f"{queue.messages} messages, {queue.ready} ready, {queue.unacked} unacknowledged"
            yield Violation("I8", f"{queue.name} hides messages: {counts}")


def _letter(letter: Letter, bodies: set[bytes], expected: str | None) -> Iterator[Violation]:
    shown = f"a dead letter of {letter.service} ({letter.facts.event_id or letter.body[:40]!r})"
    if letter.body not in bodies:
        yield Violation("I8", f"{shown} has other bytes than anything that was said")
    reason = letter.reason or letter.broker
    if not reason:
        yield Violation("I8", f"{shown} has no reason")
    elif expected is None and letter.reason not in {EXHAUSTED, None}:
        yield Violation("I8", f"{shown} is genuine, and was set aside as {letter.reason}")
    elif expected is not None and reason != expected:
        yield Violation("I8", f"{shown} is {reason}, and ought to be {expected}")


def hygiene(history: History, books: Books) -> Iterator[Violation]:
    """I10. One consumer a worker, no leak, no crash, out in time, no secret in any log."""
    if not history.workers:
        yield Violation("I10", "could not tell: no workers")
    running = Counter(worker.service for worker in history.workers)
    consumers = {queue.name: queue.consumers for queue in history.queues}
    for service, number in running.items():
        if consumers.get(f"{service}.inbox") != number:
            found = consumers.get(f"{service}.inbox", "unknown")
            yield Violation("I10", f"{service}: {number} workers, consumers: {found}")
    for worker in history.workers:
        if worker.descriptors > MOST_DESCRIPTORS or worker.megabytes > MOST_MEGABYTES:
            held = f"{worker.descriptors} descriptors, {worker.megabytes:.0f} MB"
            yield Violation("I10", f"a worker of {worker.service} holds {held}")
        if worker.exit_code != 0 or worker.seconds_to_leave > LONGEST_LEAVING_SECONDS:
            left = f"exit code {worker.exit_code} after {worker.seconds_to_leave:.0f} s"
            yield Violation("I10", f"a worker of {worker.service} left badly: {left}")
    yield from (Violation("I10", f"a secret stands in {log}") for log in history.secrets_in_logs)
    yield from (Violation("I10", f"a process crashed: {log}") for log in history.crashes)


def figures(history: History, books: Books) -> Figures:
    events = wanted(history, books)
    absent = {event.event_id: event for event, _ in missing(history, books)}
    received = {event_id for event_id in events if event_id not in absent}
    copies = Counter(e.facts.event_id or e.body for e in history.spoken if e.exchange.endswith(".events"))
    return Figures(
        attempted=len(events),
        confirmed=sum(event.confirmed for event in events.values()),
        received=len(received),
        duplicated=sum(number - 1 for number in copies.values()),
        recovered=sum(event.retried and event.event_id in received for event in events.values()),
        lost=sum(event.confirmed for event in absent.values()),
        unexpected=len(unexpected(history, books)),
    )
