"""Values on the commands' screens: amounts with their decimals, and no time after the start by a wrong clock."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.reports import report
from saga_monitor.text.event_tables import timeline_table
from saga_monitor.text.history_listing import _data
from tests.saga_monitor.conftest import SOON
from tests.saga_monitor.memory_stream import CONFIRMED, event_bytes
from tests.support.order_saga import SAGAS, order_with

if TYPE_CHECKING:
    from tests.saga_monitor.conftest import Monitor
    from tests.saga_monitor.memory_stream import Stream


def test_an_amount_is_shown_with_its_decimals() -> None:
    order = event_bytes("CMD-1", CONFIRMED[0]).replace(b"99.99", b"1000.0")
    assert "montant=1,000.00" in _data(json.loads(order), SAGAS)
    event = {"type": "commande.rangee", "data": {"rang": 4.5, "note": None}}
    assert _data(event, SAGAS) == "rang=4.5, note=none"


async def test_a_timeline_says_whose_time_is_not_known(stream: Stream, monitor: Monitor) -> None:
    lines = [replace(line, ms=line.ms + 5_000) if n == 2 else line for n, line in enumerate(CONFIRMED)]
    stream.publish("CMD-1", lines)
    await monitor.read(stream)
    order = monitor.queries.instance(order_with("CMD-1"), SOON)
    assert order is not None
    shown = report.detail(order, SAGAS, monitor.queries.events(order.instance), [])
    console = Console(width=120, file=io.StringIO())
    with console.capture() as captured:
        console.print(timeline_table(CHOREOGRAPHY, shown["events"], shown["started"]))
    wrong = [line for line in captured.get().splitlines() if "clock wrong" in line]
    assert len(wrong) == 1
    assert "paiement.effectue" in wrong[0]
