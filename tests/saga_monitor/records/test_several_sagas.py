"""Of which saga, and of which instance, an entry of the history speaks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from choregraphie.messaging import HistoryEntry
from choregraphie.saga.topology import dlx, events, retry
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.records.parser import EntryParser, EventEntry, IgnoredEntry
from tests.saga_monitor.memory_stream import START, Line, event_bytes
from tests.support.several_sagas import SEVERAL

PARSER = EntryParser(SEVERAL.saga_set)
RECEIVED = Line("stock.retour_recu", "retour.demande", data={"commande_id": "CMD-7", "motif": "trop petit"})


def entry(body: bytes, exchange: str) -> HistoryEntry:
    return HistoryEntry(7, exchange, "key", body, {}, START)


def message(type_: str, data: object, **more: object) -> bytes:
    envelope = {"specversion": "1.0", "id": "1", "type": type_, "source": "/services/stock", "data": data}
    return json.dumps(envelope | more).encode()


def test_an_event_is_of_the_saga_that_declares_its_type() -> None:
    record = PARSER.parse(entry(event_bytes("R-1", RECEIVED), events("stock")), START)
    assert isinstance(record, EventEntry)
    assert (record.saga, record.key, record.reason) == ("retour", "R-1", "trop petit")
    assert set(record.named) == {"CMD-7", "trop petit"}


def test_a_retry_and_a_dead_letter_are_of_the_saga_of_their_message() -> None:
    body = event_bytes("R-1", RECEIVED)
    for exchange, kind in ((retry("paiement"), Retry), (dlx("paiement"), DeadLetter)):
        record = PARSER.parse(entry(body, exchange), START)
        assert isinstance(record, kind)
        assert (record.saga, record.key) == ("retour", "R-1")


@pytest.mark.parametrize(
    ("data", "more", "saga", "key"),
    [
        ({"commande_id": "CMD-7"}, {}, "commande", "CMD-7"),
        ({"retour_id": "R-1"}, {}, "retour", "R-1"),
        # An event may name instances of other sagas beside its own; the subject repeats its own.
        ({"retour_id": "R-1", "commande_id": "CMD-7"}, {"subject": "R-1"}, "retour", "R-1"),
        ({"retour_id": "R-1", "commande_id": "CMD-7"}, {"subject": "CMD-7"}, "commande", "CMD-7"),
        ({"dossier_id": "D-1"}, {"subject": "D-1"}, None, "D-1"),
        ({"dossier_id": "D-1"}, {}, None, ""),
        ([], {"subject": 7}, None, ""),
    ],
)
def test_of_an_unknown_type_the_data_tells_the_saga(
    data: object, more: dict[str, Any], saga: str | None, key: str
) -> None:
    record = PARSER.parse(entry(message("stock.inventaire", data, **more), events("stock")), START)
    assert isinstance(record, IgnoredEntry)
    assert (record.why, record.saga, record.key) == ("unknown", saga, key)


@pytest.mark.parametrize(
    ("body", "saga", "key"),
    [
        (message("stock.retour_recu", {"retour_id": 7}, subject="R-1"), "retour", "R-1"),
        (message("stock.retour_recu", {"commande_id": "CMD-7"}), "retour", None),
        (message("stock.inventaire", {"voyage_id": "V-1"}), "voyage", "V-1"),
        (b"\xff", None, None),
    ],
)
def test_of_a_message_that_is_not_valid_what_can_be_read_tells_the_instance(
    body: bytes, saga: str | None, key: str | None
) -> None:
    record = PARSER.parse(entry(body, dlx("paiement")), START)
    assert isinstance(record, DeadLetter)
    assert (record.saga, record.key) == (saga, key)


def test_an_event_by_another_speaker_s_exchange_is_of_its_saga() -> None:
    record = PARSER.parse(entry(event_bytes("R-1", RECEIVED), events("vol")), START)
    assert isinstance(record, IgnoredEntry)
    assert (record.why, record.saga, record.key) == ("untrusted", "retour", "R-1")
