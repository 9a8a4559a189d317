"""Writes records into the tables, each once, and counts the new ones."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.projection import counters
from saga_monitor.projection.messages import keep_dead_letters, keep_retries
from saga_monitor.projection.schema import instant
from saga_monitor.records.parser import IgnoredEntry, Record, SaidEntry


def keep(connection: sqlite3.Connection, records: Sequence[Record], numbers: Mapping[str, int]) -> Counter[str]:
    """Within the caller's transaction; `numbers`: of every order that an event is about."""
    counts = Counter(f"ignored.{record.why}" for record in records if isinstance(record, IgnoredEntry))
    counts.update(counters.of_records(records))
    counts.update(_keep_said(connection, [r for r in records if isinstance(r, SaidEntry)], numbers))
    counts.update(keep_retries(connection, [r for r in records if isinstance(r, Retry)]))
    counts.update(keep_dead_letters(connection, [r for r in records if isinstance(r, DeadLetter)]))
    return counts


def _keep_said(
    connection: sqlite3.Connection, said: Sequence[SaidEntry], numbers: Mapping[str, int]
) -> Counter[str]:
    counts: Counter[str] = Counter()
    for type_, records in _by_type(said):
        before = connection.total_changes
        connection.executemany(
            "INSERT OR IGNORE INTO said VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_event_row(record, numbers[record.commande_id]) for record in records],
        )
        counts[f"said.{type_}"] = connection.total_changes - before
    counts["events"] = counts.total()
    counts["duplicates"] = len(said) - counts["events"]
    return counts


def _by_type(said: Iterable[SaidEntry]) -> Iterable[tuple[str, list[SaidEntry]]]:
    groups: dict[str, list[SaidEntry]] = {}
    for record in said:
        groups.setdefault(record.heard.type, []).append(record)
    return groups.items()


def _event_row(record: SaidEntry, number: int) -> tuple[object, ...]:
    heard = record.heard
    return (
        number,
        heard.id,
        heard.type,
        heard.service,
        record.source,
        instant(heard.time),
        heard.causationid,
        heard.modele,
        heard.nothing,
        record.raison,
        record.offset,
    )
