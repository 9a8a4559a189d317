"""Which entries of the history a test of a running saga takes for what was said about its key."""

import pytest

from choregraphie.messaging import HistoryEntry
from choregraphie.saga.topology import commands, events, retry
from choregraphie.testing.running import _is_about
from services.orchestration import ORCHESTRATED


@pytest.mark.parametrize(
    ("exchange", "type_", "counts"),
    [
        (events("client"), "commande.initiee", True),
        (commands("stock"), "stock.reserver", True),
        (retry("stock"), "stock.reserver", False),
    ],
)
def test_events_and_commands_count_and_their_retries_do_not(exchange: str, type_: str, counts: bool) -> None:
    body = b'{"specversion": "1.0", "data": {"commande_id": "CMD-1"}}'
    entry = HistoryEntry(0, exchange, type_, body, {}, content_type="application/cloudevents+json")
    assert _is_about(entry, "CMD-1", ORCHESTRATED.saga_set) is counts
    assert not _is_about(entry, "CMD-2", ORCHESTRATED.saga_set)
