"""What is left when a run is over: databases, dead letters, history, the outside. Data for the invariants."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from choregraphie import Reason
from choregraphie.saga.topology import REASON_HEADER
from choregraphie.simulator.queues import Message
from choregraphie.storage.inbox import EventIdentity

Rows = list[dict[str, Any]]
Tables = dict[str, Rows]


@dataclass(frozen=True)
class FinalState:
    """`tables` by service; `dead` letters by service; `history` the messages of the stream, oldest first.

    `acts` are those that the broker confirmed to the clients. `externals`: what the world outside holds,
    in the words of the scenario. `remains` says what should not be there: messages in queues,
    hidden ones, consumers, tasks. `may_fail`: the services of which a reaction may have failed to the last try.
    """

    tables: Mapping[str, Tables]
    dead: Mapping[str, Sequence[Message]]
    history: Sequence[Message]
    actions: Sequence[Any]
    externals: Mapping[str, Any]
    may_fail: Collection[str]
    remains: Sequence[str] = ()

    def rows(self, service: str, table: str) -> Rows:
        return self.tables[service][table]

    @cached_property
    def said(self) -> dict[str, dict[str, list[str]]]:
        """The event ids in all outboxes: by order, then by type."""
        found: dict[str, dict[str, list[str]]] = {}
        for tables in self.tables.values():
            for row in tables["outbox"]:
                found.setdefault(row["commande_id"], {}).setdefault(row["type"], []).append(row["event_id"])
        return found

    @cached_property
    def inboxes(self) -> dict[str, set[EventIdentity]]:
        """The events that each service has dealt with."""
        return {
            name: {EventIdentity(row["source"], row["event_id"]) for row in tables["inbox"]}
            for name, tables in self.tables.items()
        }

    @cached_property
    def dead_events(self) -> dict[str, set[EventIdentity]]:
        """The events among the dead letters, by service."""
        return {name: {identity(message) for message in dead} for name, dead in self.dead.items()}

    @cached_property
    def in_doubt(self) -> set[str]:
        """The orders that need a person: something about them was given up, and lies among the dead letters."""
        return {order_of(message) for dead in self.dead.values() for message in dead if is_open(message)}


def content(message: Message) -> dict[str, Any]:
    """The envelope, or {} when it cannot be read."""
    try:
        found = json.loads(message.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def identity(message: Message) -> EventIdentity:
    """What names the event; of bytes that cannot be read, nothing does."""
    found = content(message)
    return EventIdentity(str(found.get("source", "")), str(found.get("id", "")))


def order_of(message: Message) -> str:
    return str(content(message).get("data", {}).get("commande_id", ""))


def is_open(message: Message) -> bool:
    """Whether somebody was to act on it and could not; the others nobody should ever read."""
    return reason_of(message) in {Reason.EXHAUSTED, Reason.ID_COLLISION, "delivery_limit"}


def reason_of(message: Message) -> str:
    """The broker's reason, or the runtime's. Nothing expires into the dead letters: that is an older death."""
    by_broker = message.deaths and message.deaths[0].reason != "expired"
    return message.deaths[0].reason if by_broker else str(message.headers.get(REASON_HEADER, ""))
