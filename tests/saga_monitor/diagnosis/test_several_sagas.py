"""What is wrong with instances of several sagas, and which part of a join is missing."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from choregraphie.messaging import QueueCount
from choregraphie.saga.topology import inbox
from saga_monitor.analysis.anomaly import Anomaly, Kind, Thresholds
from saga_monitor.console.rendering import first_anomalies
from saga_monitor.console.screens import AnomalyOption
from saga_monitor.diagnosis.anomalies import anomalies_of, anomalies_of_instance, as_json
from saga_monitor.diagnosis.grouping import grouped, of_saga, within_usual_time, within_usual_times
from saga_monitor.records.broker_status import BrokerStatus, read_broker_status
from saga_monitor.text.anomaly_list import anomaly_view
from tests.saga_monitor.conftest import Monitor
from tests.saga_monitor.memory_stream import HELD, START, Line, Stream, event_bytes
from tests.support.order_saga import order_with
from tests.support.several_sagas import SEVERAL, retour, voyage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SAGAS = SEVERAL.saga_set
TERMS = Thresholds(60, 3, command=SEVERAL.command)
LATER = START + dt.timedelta(minutes=5)
BEGUN = [Line("voyage.demande")]
VOL = Line("vol.reserve", "voyage.demande", 100)
HOTEL = Line("hotel.reserve", "voyage.demande", 200)


@pytest.fixture
def several(tmp_path: Path) -> Iterator[Monitor]:
    monitor = Monitor(tmp_path / "several.sqlite3", SAGAS)
    assert monitor.store.acquire()
    yield monitor
    monitor.close()


def broker(**inboxes: QueueCount) -> BrokerStatus:
    """Every inbox is there, with a consumer and no message, but for those given."""
    counts = {inbox(service): inboxes.get(service, QueueCount(0, 1)) for service in SAGAS.services}
    return BrokerStatus(LATER, counts)


async def wrong(several: Monitor, stream: Stream, status: BrokerStatus | None = None) -> list[Anomaly]:
    await several.read(stream)
    return anomalies_of(several.queries, status, LATER, TERMS)


def said(anomalies: list[Anomaly]) -> set[tuple[str, str | None, str | None]]:
    return {(anomaly.kind, anomaly.key, anomaly.service) for anomaly in anomalies}


async def test_a_stuck_join_names_the_event_that_is_missing_and_who_should_say_it(
    several: Monitor, stream: Stream
) -> None:
    stream.publish("V-1", [*BEGUN, VOL])
    (anomaly,) = await wrong(several, stream, broker())
    assert (anomaly.kind, anomaly.instance, anomaly.service) == (Kind.STUCK, voyage("V-1"), "hotel")
    assert anomaly.sentence.startswith(
        "V-1 waits for hotel.reserve of hotel, which reglement needs beside vol.reserve, silent for "
    )


async def test_each_branch_that_does_not_go_on_is_an_anomaly_of_one_stuck_instance(
    several: Monitor, stream: Stream
) -> None:
    stream.publish("V-1", BEGUN)
    anomalies = await wrong(several, stream, broker())
    assert said(anomalies) == {("stuck", "V-1", "vol"), ("stuck", "V-1", "hotel")}
    stuck = several.queries.totals(LATER).stuck
    assert (stuck, within_usual_time(stuck, anomalies, LATER, TERMS.stuck_after)) == (1, 0)


async def test_of_a_join_that_was_not_answered_any_of_its_events_may_be_lost(
    several: Monitor, stream: Stream
) -> None:
    stream.publish("V-1", [*BEGUN, VOL, HOTEL])
    (anomaly,) = await wrong(several, stream, broker())
    assert (anomaly.service, anomaly.reason) == ("paiement", "unresponsive")
    for part in (
        "paiement.inbox is not bound to vol.events for vol.reserve or to hotel.events for hotel.reserve",
        "`python -m several outbox resend --service vol --since 2024-11-22T18:47:00Z` and"
        " `python -m several outbox resend --service hotel --since 2024-11-22T18:47:00Z`",
    ):
        assert part in anomaly.sentence


@pytest.mark.parametrize("given_up", [VOL, HOTEL])
async def test_a_dead_letter_of_either_event_of_a_join_is_why_it_waits(
    several: Monitor, stream: Stream, given_up: Line
) -> None:
    stream.publish("V-1", [*BEGUN, VOL, HOTEL])
    stream.set_aside("paiement", event_bytes("V-1", given_up))
    await several.read(stream)
    (anomaly,) = anomalies_of_instance(several.queries, voyage("V-1"), None, LATER, TERMS)
    assert (anomaly.kind, anomaly.reason) == (Kind.STUCK, "set_aside")
    assert f"its {given_up.type} is in paiement.dlq" in anomaly.sentence


async def test_anomalies_of_one_key_in_two_sagas_are_told_apart(several: Monitor, stream: Stream) -> None:
    stream.publish("SAME", HELD)
    stream.publish("SAME", [Line("retour.demande")])
    anomalies = await wrong(several, stream, broker())
    assert {(anomaly.instance, anomaly.service) for anomaly in anomalies} == {
        (order_with("SAME"), "paiement"),
        (retour("SAME"), "stock"),
    }
    found = anomalies_of_instance(several.queries, retour("SAME"), broker(), LATER, TERMS)
    assert [anomaly.service for anomaly in found] == ["stock"]
    (written,) = [as_json(anomaly, SAGAS) for anomaly in found]
    assert list(written)[:3] == ["kind", "saga", "retour_id"]
    assert [group.instances for group in grouped(found)] == [(retour("SAME"),)]


async def test_a_remedy_has_the_noun_of_the_saga_and_the_command_of_the_application(
    several: Monitor, stream: Stream
) -> None:
    stream.publish("R-1", [Line("retour.demande"), Line("retour.demande", id="again")])
    found = await wrong(several, stream, broker(stock=QueueCount(0, 0)))
    sentences = {anomaly.kind: anomaly.sentence for anomaly in found}
    assert "2 different returns have this id" in sentences[Kind.REPEATED_START]
    assert "start a worker with `python -m several run stock`" in sentences[Kind.STUCK]


async def test_the_queues_of_the_services_of_every_saga_are_asked_for(stream: Stream) -> None:
    status = await read_broker_status(stream, SAGAS)
    assert {inbox(service) for service in ("stock", "retours", "vol", "hotel", "agence")} <= status.asked


async def test_anomalies_of_no_saga_count_in_each_and_those_of_another_in_none(
    several: Monitor, stream: Stream
) -> None:
    stream.publish("R-1", [Line("retour.demande")])
    stream.publish("V-1", BEGUN)
    found = await wrong(several, stream, broker(agence=QueueCount(2, 0)))
    assert {one.saga for one in found} == {"retour", "voyage", None}
    counted = {saga: [one.saga for one in of_saga(found, saga)] for saga in (*SAGAS.by_name, None)}
    assert {saga: set(sagas) for saga, sagas in counted.items()} == {
        "commande": {None},
        "retour": {"retour", None},
        "voyage": {"voyage", None},
        None: {"retour", "voyage", None},
    }
    assert len(counted[None]) == len(found)


async def test_instances_within_their_steps_usual_time_are_those_of_the_saga(
    several: Monitor, stream: Stream
) -> None:
    stream.publish("R-1", [Line("retour.demande")])
    stream.publish("V-1", BEGUN)
    found = [one for one in await wrong(several, stream, broker()) if one.saga != "voyage"]
    assert within_usual_times(several.queries, found, LATER, TERMS.stuck_after) == {
        None: 1,
        "commande": 0,
        "retour": 0,
        "voyage": 1,
    }


async def test_a_repeated_start_has_the_noun_of_its_saga_on_every_screen(several: Monitor, stream: Stream) -> None:
    stream.publish("R-1", [Line("retour.demande"), Line("retour.demande", id="again")])
    repeated = [one for one in await wrong(several, stream, broker()) if one.kind is Kind.REPEATED_START]
    shown = [
        *(anomaly_view(repeated, SAGAS, full=full) for full in (True, False)),
        first_anomalies(repeated, SAGAS),
        AnomalyOption(repeated[0], SAGAS).prompt,
    ]
    for view in shown:
        with (console := Console(width=200)).capture() as capture:
            console.print(view)
        assert capture.get().lower().count("repeated return") == 1
        assert "order" not in capture.get().lower()
    assert as_json(repeated[0], SAGAS)["kind"] == "repeated_start"
