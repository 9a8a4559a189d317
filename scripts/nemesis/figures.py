"""The figures of a run. Each comes from a source other than the component it measures. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.nemesis.delivery_checkers import expected_events, undelivered, unexpected_events

if TYPE_CHECKING:
    from scripts.nemesis.databases import Databases
    from scripts.nemesis.history import History


@dataclass(frozen=True)
class Figures:
    """Counts of distinct events; `duplicated` counts further copies in the stream.

    attempted   to be published by clients and services: the client's list and the outboxes
    confirmed   taken by the broker: in the stream, or in the inbox of a service other than the sender
    received    in the inbox or the dead letters of every service that must hear it; in the stream when none must
    recovered   received although the first try was not confirmed: the client's list
    lost        not received although the sender got a confirm: the client's list and the outboxes
    unexpected  in the stream or in an inbox although no client or service was to publish it
    """

    attempted: int = 0
    confirmed: int = 0
    received: int = 0
    duplicated: int = 0
    recovered: int = 0
    lost: int = 0
    unexpected: int = 0


def figures(history: History, databases: Databases) -> Figures:
    """The figures of a run; see `Figures`."""
    events = expected_events(history, databases)
    undelivered_ids = {event.identity for event, _ in undelivered(history, databases)}
    # An event that the live monitor heard was in the stream, even if the stream has lost it since.
    in_stream = history.event_ids | {event_id for _, _, event_id in (history.live.events if history.live else ())}
    received = {
        event_id
        for event_id, e in events.items()
        if event_id not in undelivered_ids and (history.saga.hearers(e.type) or e.identity in in_stream)
    }
    inboxes = {event_id for tables in databases.services.values() for event_id in tables.inbox}
    copies = Counter(e.fields.identity or e.body for e in history.stream if e.said)
    return Figures(
        attempted=len(events),
        confirmed=len(events.keys() & (in_stream | inboxes)),
        received=len(received),
        duplicated=sum(number - 1 for number in copies.values()),
        recovered=sum(event.retried and event.identity in received for event in events.values()),
        lost=sum(event.confirmed and event.identity not in received for event in events.values()),
        unexpected=len(unexpected_events(history, databases)),
    )
