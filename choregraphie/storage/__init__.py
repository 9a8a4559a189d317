"""The database of a service: inbox, outbox, journal, unit of work, and the transaction of a group."""

from choregraphie.service.action import Entry
from choregraphie.storage.database import business_state, open_database, open_for_reading
from choregraphie.storage.engine import is_of_each_service
from choregraphie.storage.journal import journal_of, open_actions
from choregraphie.storage.outbox import OutboxEvent, decided_since, last_number, pending_events

__all__ = [
    "Entry",
    "OutboxEvent",
    "business_state",
    "decided_since",
    "is_of_each_service",
    "journal_of",
    "last_number",
    "open_actions",
    "open_database",
    "open_for_reading",
    "pending_events",
]
