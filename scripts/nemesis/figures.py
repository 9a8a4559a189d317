"""The figures of a run, each from a source that the figure's own subject did not write. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.choreography import CHOREOGRAPHY
from scripts.nemesis.delivery_checkers import missing, unexpected, wanted

if TYPE_CHECKING:
    from scripts.nemesis.databases import Books
    from scripts.nemesis.history import History


@dataclass(frozen=True)
class Figures:
    """Of events, by distinct id; `duplicated` counts copies in the stream beyond the first.

    attempted   clients and services wanted to say them: the client's own list, and the outboxes
    confirmed   the broker had them: they stand in the stream, or in the inbox of another than their speaker
    received    every service that must hear them has them in its inbox, or in its dead letters; those that
                nobody must hear, the stream
    recovered   received though a first try was not confirmed: by the client's own count
    lost        not received, though their speaker was told that the broker had them: client's list, outboxes
    unexpected  in the stream or in an inbox, and nobody ever wanted to say them
    """

    attempted: int = 0
    confirmed: int = 0
    received: int = 0
    duplicated: int = 0
    recovered: int = 0
    lost: int = 0
    unexpected: int = 0


def figures(history: History, books: Books) -> Figures:
    """Counted by distinct events: the meaning and the source of each figure is told with `Figures`."""
    events = wanted(history, books)
    absent = {event.identity for event, _ in missing(history, books)}
    # What the live monitor heard stood in the stream, though that may have lost it since.
    streamed = history.heard | {event_id for _, _, event_id in (history.live.events if history.live else ())}
    received = {
        event_id
        for event_id, e in events.items()
        if event_id not in absent and (CHOREOGRAPHY.hearers(e.type) or e.identity in streamed)
    }
    inboxes = {event_id for kept in books.services.values() for event_id in kept.inbox}
    copies = Counter(e.facts.identity or e.body for e in history.spoken if e.exchange.endswith(".events"))
    return Figures(
        attempted=len(events),
        confirmed=len(events.keys() & (streamed | inboxes)),
        received=len(received),
        duplicated=sum(number - 1 for number in copies.values()),
        recovered=sum(event.retried and event.identity in received for event in events.values()),
        lost=sum(event.confirmed and event.identity not in received for event in events.values()),
        unexpected=len(unexpected(history, books)),
    )
