"""Where events are signed, the monitor believes what the services believe."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie.dead_letters.audit import Act, Operator, act_record
from choregraphie.messaging import HistoryEntry, Outgoing
from choregraphie.signing import verifier_for
from saga_monitor.analysis.messages import OperatorAct
from saga_monitor.records.parser import EntryParser, EventEntry, IgnoredEntry
from tests.saga_monitor.diagnosis.test_anomalies import found, wrong
from tests.support.order_saga import SAGAS
from tests.support.signing_keys import order, signed, with_keys

if TYPE_CHECKING:
    from choregraphie import Settings
    from saga_monitor.records.parser import Record
    from tests.saga_monitor.conftest import Monitor
    from tests.saga_monitor.memory_stream import Stream

OPERATOR = Operator("alice@ops-1", "ops")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return with_keys(tmp_path_factory.mktemp("keys"))


def parsed(message: Outgoing, settings: Settings) -> Record:
    content_type = message.properties.content_type
    entry = HistoryEntry(
        7, message.exchange, message.routing_key, message.body, message.headers, content_type=content_type
    )
    return EntryParser(SAGAS, verifier_for(settings)).parse(entry, dt.datetime.now(dt.UTC))


def why(record: Record) -> Any:
    assert isinstance(record, IgnoredEntry), record
    return record.why


def test_an_event_counts_when_its_speaker_has_signed_it(settings: Settings) -> None:
    assert isinstance(parsed(signed(order(), settings, "client"), settings), EventEntry)
    assert why(parsed(order(), settings)) == "unsigned"
    assert why(parsed(signed(order(), settings, "stock"), settings)) == "unsigned"
    assert why(parsed(signed(order(), settings, "ops"), settings)) == "unsigned"
    elsewhere = signed(order(), settings, "client")._replace(exchange="stock.events")
    assert why(parsed(elsewhere, settings)) == "untrusted"


def test_an_old_event_counts_the_history_is_read_again_at_any_time(settings: Settings) -> None:
    old = order()
    old = old._replace(body=old.body.replace(b'"time": "20', b'"time": "19'))
    assert isinstance(parsed(signed(old, settings, "client"), settings), EventEntry)


def test_the_record_of_an_act_counts_when_an_operator_has_signed_it(settings: Settings) -> None:
    """Otherwise anybody could end the call for a person."""
    record = act_record(
        Act.DISCARDED, OPERATOR, dt.datetime.now(dt.UTC), "x", {"letter": "abc", "service": "stock"}
    )
    assert isinstance(parsed(signed(record, settings, "ops"), settings), OperatorAct)
    assert why(parsed(record, settings)) == "unsigned_record"
    assert why(parsed(signed(record, settings, "stock"), settings)) == "unsigned_record"


async def test_an_event_that_is_not_signed_is_an_anomaly_and_changes_no_state(
    monitor: Monitor, stream: Stream, settings: Settings
) -> None:
    monitor.store.verifier = verifier_for(settings)
    for message in (signed(order(), settings, "client"), order(commande_id="CMD-2")):
        stream.add(message.body, message.exchange, message.headers)
    now = dt.datetime.now(dt.UTC)
    anomalies = await wrong(monitor, stream, now=now)
    assert ("not_allowed", "client", "signature") in found(anomalies)
    (sentence,) = (one.sentence for one in anomalies if one.reason == "signature")
    assert sentence.startswith("CMD-2: commande.initiee from /clients/test came by client.events, without a valid")
    assert [bool(monitor.queries.instances_with(key, now)) for key in ("CMD-1", "CMD-2")] == [True, False]
