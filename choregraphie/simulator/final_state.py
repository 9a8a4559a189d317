"""The final state of a run: databases, dead letters, history, externals. Data for the invariants."""

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
    """What a run leaves.

    tables     the rows of each table, by service
    dead       the dead letters, by service
    history    the messages of the stream, oldest first
    actions    the clients' actions that the broker has confirmed
    externals  the content of the externals, in the form that the scenario defines
    may_fail   the services of which a reaction may fail until its last try
    remains    what should not exist after a run: messages in queues, undeliverable ones, consumers, tasks
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
        """The event ids in all outboxes, by key and by type."""
        found: dict[str, dict[str, list[str]]] = {}
        for tables in self.tables.values():
            for row in tables["outbox"]:
                found.setdefault(row["key"], {}).setdefault(row["type"], []).append(row["event_id"])
        return found

    @cached_property
    def inboxes(self) -> dict[str, set[EventIdentity]]:
        """The events in the inbox of each service."""
        return {
            name: {EventIdentity(row["source"], row["event_id"]) for row in tables["inbox"]}
            for name, tables in self.tables.items()
        }

    @cached_property
    def dead_events(self) -> dict[str, set[EventIdentity]]:
        """The events among the dead letters of each service."""
        return {name: {identity(message) for message in dead} for name, dead in self.dead.items()}

    @cached_property
    def in_doubt(self) -> set[str]:
        """The keys that need a person: an event about them was given up, and is a dead letter."""
        return {key_of(message) for dead in self.dead.values() for message in dead if is_open(message)}


def content(message: Message) -> dict[str, Any]:
    """The envelope, or {} when it cannot be read."""
    try:
        found = json.loads(message.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def identity(message: Message) -> EventIdentity:
    """The identity of the event; empty for bytes that cannot be read."""
    found = content(message)
    return EventIdentity(str(found.get("source", "")), str(found.get("id", "")))


def key_of(message: Message) -> str:
    """The key that the message names in an AMQP property or in its subject; empty when there is none."""
    return str(content(message).get("subject") or message.properties.correlation_id or "")


def is_open(message: Message) -> bool:
    """Whether a service should have acted on it and could not. No service should ever read the others."""
    return reason_of(message) in {Reason.EXHAUSTED, Reason.ID_COLLISION, "delivery_limit"}


def reason_of(message: Message) -> str:
    """The broker's reason, or that of the service. `expired` is an older death: no message expires into a DLQ."""
    by_broker = message.deaths and message.deaths[0].reason != "expired"
    return message.deaths[0].reason if by_broker else str(message.headers.get(REASON_HEADER, ""))
