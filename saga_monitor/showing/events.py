"""The events of an order as tables: in few columns for a terminal, with every value for a program."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType

from saga_monitor.showing.safe_text import safe
from services.tables import Column, Fitted, after, short_ids


def timeline_table(events: Sequence[Mapping[str, Any]], started: str | None) -> RenderableType:
    """Each event by a number, which those that answer it name."""
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
    for number, event in enumerate(events, 1):
        table.add_row(
            str(number),
            after(_time(event["time"]), start),
            safe(event["type"]),
            safe(_answered(event, events)),
            safe(event["note"] or ""),
            safe(ids[event["id"]], "dim"),
        )
    return table


def every_event(events: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Each event with all that is kept of it."""
    names = ("offset", "time", "event", "source", "id", "answers", "note")
    table = Fitted(*(Column(name) for name in names))
    for event in events:
        values = (event["offset"], event["time"], event["type"], event["source"], event["id"])
        more = (event["causationid"], event["note"] or "")
        table.add_row(*(safe("–" if value is None else value) for value in (*values, *more)))
    return table


def _answered(event: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> str:
    if event["causationid"] is None:
        return ""
    causes = [number for number, other in enumerate(events, 1) if other["id"] == event["causationid"]]
    return f"#{causes[0]}" if causes else "not heard"


def _time(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
