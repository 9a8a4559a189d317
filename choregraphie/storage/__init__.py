"""The database of a service: inbox, outbox, journal, unit of work, and the transaction of a group."""

from choregraphie.service.action import Entry
from choregraphie.storage.database import look_into, open_database, read_catalogue, reading
from choregraphie.storage.engine import is_of_each_service
from choregraphie.storage.journal import history_of, open_actions
from choregraphie.storage.outbox import OutboxEvent, decided_since, last_number, pending_events

__all__ = [
    "Entry",
    "OutboxEvent",
    "decided_since",
    "history_of",
    "is_of_each_service",
    "last_number",
    "look_into",
    "open_actions",
    "open_database",
    "pending_events",
    "read_catalogue",
    "reading",
]
