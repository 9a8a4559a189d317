"""A history of several sagas: an order, a return and a voyage with one key, and some with keys of their own."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from tests.saga_monitor.memory_stream import CONFIRMED, START, Line, Stream, event_bytes
from tests.saga_monitor.projection.test_several_sagas import ACCEPTED, HALF_BOOKED, RECEIVED, REFUSED

if TYPE_CHECKING:
    from collections.abc import Sequence

SAME = "SAME"
BOOKED = [*HALF_BOOKED, Line("hotel.reserve", "voyage.demande", 300)]
TRAVELLED = [
    *BOOKED,
    Line("paiement.voyage_regle", "hotel.reserve", 500),
    Line("agence.voyage_confirme", "paiement.voyage_regle", 600),
]
ALL: Sequence[tuple[str, Sequence[Line]]] = (
    (SAME, CONFIRMED),
    (SAME, RECEIVED),
    (SAME, HALF_BOOKED),
    ("R-2", ACCEPTED),
    ("R-3", REFUSED),
    ("V-2", TRAVELLED),
)


def several_kinds(stream: Stream, start: dt.datetime = START) -> None:
    """Every instance of `ALL`; paiement set aside what it heard of the return SAME."""
    for key, lines in ALL:
        stream.publish(key, lines, start)
    stream.set_aside("paiement", event_bytes(SAME, RECEIVED[-1], start))
