"""The likely type of a message, by its routing key, saves a parse and changes nothing else."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from saga_monitor.records.parser import EventEntry, IgnoredEntry
from tests.saga_monitor.memory_stream import CONFIRMED, START, Stream
from tests.support.order_saga import PARSER

if TYPE_CHECKING:
    from choregraphie.messaging import HistoryEntry

NOW = START + dt.timedelta(hours=1)


def entry_with(**changes: Any) -> HistoryEntry:
    """A `commande.initiee` by its exchange; None leaves an attribute out."""
    stream = Stream()
    stream.publish("CMD-1", CONFIRMED[:1])
    envelope = json.loads(stream.kept[0].body) | changes
    body = json.dumps({name: value for name, value in envelope.items() if value is not None}).encode()
    return replace(stream.kept[0], body=body)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, EventEntry),
        ({"dataschema": None}, EventEntry),
        ({"datacontenttype": "application/vnd.x+json"}, EventEntry),
        ({"specversion": None}, "unreadable"),
        ({"specversion": "0.3"}, "unreadable"),
        ({"data_base64": "AAAA"}, "unreadable"),
        ({"datacontenttype": "text/plain"}, "unreadable"),
        ({"subject": "CMD-2"}, "unreadable"),
        ({"data": {}}, "unreadable"),
        ({"type": "stock.libere"}, "unknown"),
        ({"type": "stock.libere", "dataschema": None}, "unreadable"),
        ({"type": "rien.de.connu"}, "unknown"),
        ({"dataschema": "urn:choregraphie:commande.initiee:99"}, "unknown"),
        ({"source": "/services/stock"}, "untrusted"),
    ],
)
def test_a_message_is_read_the_same_whatever_its_routing_key_promises(changes: dict[str, Any], kind: Any) -> None:
    entry = entry_with(**changes)
    keys = ("commande.initiee", "stock.libere", "rien.de.connu", "")
    first, *others = (PARSER.parse(replace(entry, routing_key=key), NOW) for key in keys)
    assert others == [first] * 3
    assert first.why == kind if isinstance(first, IgnoredEntry) else isinstance(first, kind)


def test_a_body_that_is_no_json_is_unreadable_whatever_its_routing_key_promises() -> None:
    entry = replace(entry_with(), body=b'{"specversion": "1.0", "type": ')
    for key in ("commande.initiee", ""):
        assert PARSER.parse(replace(entry, routing_key=key), NOW) == IgnoredEntry(entry.offset, "unreadable")
