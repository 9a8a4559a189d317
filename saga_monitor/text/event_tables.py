"""The events of an instance as tables that fit a terminal."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType

from choregraphie.saga.choreography import Choreography
from choregraphie.terminal.tables import Column, Fitted, after, short_ids
from saga_monitor.analysis.causation import Causes
from saga_monitor.analysis.clocks import wrong_clocks
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent
from saga_monitor.text.sanitize import safe


@dataclass(frozen=True, slots=True)
class _Row:
    """The parts of an event that link it to its cause. `offset`: its position among the instance's events."""

    number: int
    id: str
    type: str
    causationid: str | None
    offset: int


def timeline_table(
    choreography: Choreography, events: Sequence[Mapping[str, Any]], started: str | None
) -> RenderableType:
    """The events, numbered; each answer names the number of its cause."""
    start = _time(started) or next((time for event in events if (time := _time(event["time"]))), None)
    ids = short_ids(event["id"] for event in events)
    table = Fitted(
        Column("#", right=True),
        Column("at", right=True),
        Column("event"),
        Column("answers"),
        Column("note", wraps=True),
        Column("id", goes=1),
    )
    rows = [_Row(n, event["id"], event["type"], event["causationid"], n) for n, event in enumerate(events, 1)]
    causes, wrong = Causes(choreography, rows), _wrong_sources(choreography, events)
    for row, event in zip(rows, events, strict=True):
        table.add_row(
            str(row.number),
            "clock wrong" if event["source"] in wrong else after(_time(event["time"]), start),
            safe(event["type"]),
            safe(_answered(row, causes)),
            safe(event["note"] or ""),
            safe(ids[event["id"]], "dim"),
        )
    return table


def every_event(events: Sequence[Mapping[str, Any]]) -> RenderableType:
    """The events with all their fields."""
    names = ("offset", "time", "event", "source", "id", "answers", "note")
    table = Fitted(*(Column(name) for name in names))
    for event in events:
        values = (event["offset"], event["time"], event["type"], event["source"], event["id"])
        more = (event["causationid"], event["note"] or "")
        table.add_row(*(safe("–" if value is None else value) for value in (*values, *more)))
    return table


def _wrong_sources(choreography: Choreography, events: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The sources whose clocks are wrong: when their events happened is not known."""
    return wrong_clocks(EventsOfSaga(choreography, (_heard(event, place) for place, event in enumerate(events))))


def _heard(event: Mapping[str, Any], place: int) -> HeardEvent:
    return HeardEvent(
        id=event["id"],
        type=event["type"],
        service=event["source"],
        time=_time(event["time"]),
        causationid=event["causationid"],
        offset=place,
        source=event["source"],
    )


def _answered(row: _Row, causes: Causes[_Row]) -> str:
    if row.causationid is None:
        return ""
    cause = causes.of(row)
    return f"#{cause.number}" if cause else "not heard"


def _time(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
