"""The verb `anomalies`: what is wrong now, as sentences or for a program."""

import asyncio
import datetime as dt
import json
from collections.abc import Callable, Sequence

from rich.console import Console, Group, RenderableType
from rich.text import Text

from saga_monitor.anomalies import Anomaly, Terms, anomalies_of, as_json
from saga_monitor.queries import Queries
from saga_monitor.reading.facts import ask_broker
from saga_monitor.showing.tables import safe
from services.runtime import Settings


def show_anomalies(settings: Settings, read_up: Callable[[], None], *, for_program: bool, console: Console) -> int:
    """Ask the broker, read what there is to read, and say what is wrong. Returns 1 when something is."""
    # Asked first: whoever reads the history declares what is missing, and a missing queue explains much.
    facts = asyncio.run(ask_broker(settings))
    read_up()
    queries = Queries(settings.monitor_database, settings.stuck_after)
    try:
        found = anomalies_of(queries, facts, dt.datetime.now(dt.UTC), Terms.of(settings))
    finally:
        queries.close()
    if for_program:
        print(json.dumps([as_json(anomaly) for anomaly in found], indent=2))
    else:
        console.print(_view(found), soft_wrap=True)
    return 1 if found else 0


def _view(found: Sequence[Anomaly]) -> RenderableType:
    if not found:
        return Text("nothing is wrong", style="green")
    return Group(*(_line(anomaly) for anomaly in found))


def _line(anomaly: Anomaly) -> Text:
    since = anomaly.since.strftime("%Y-%m-%d %H:%M:%SZ") if anomaly.since else "-"
    line = Text(f"{since}  ", style="dim")
    line.append(f"{anomaly.kind:<15}", style="bold red")
    line.append_text(safe(anomaly.sentence, limit=1000))
    return line
