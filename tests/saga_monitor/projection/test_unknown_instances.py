"""Keys without a beginning are shown apart from the orders, are in no total, and a flood of them is bounded.

That is what a demand to cancel makes of a key that nobody has placed, and an event of a service in anybody's name.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.anomaly import Thresholds
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.projection import durations, messages, retention
from saga_monitor.projection.aggregates import aggregates_of_all, aggregates_since
from saga_monitor.projection.counters import awaited_steps
from saga_monitor.reports import report
from saga_monitor.reports.instance_report import instance_reports
from saga_monitor.stream.maintenance import prune
from tests.saga_monitor.conftest import SOON, STUCK_AFTER, Monitor
from tests.saga_monitor.memory_stream import (
    CONFIRMED,
    KNOWN,
    PAID,
    SCENARIOS,
    START,
    Line,
    Stream,
    event_bytes,
    undone,
)
from tests.support.order_saga import COMMAND, SAGAS, order_with

ASKED = Line("commande.annulation_demandee")
LATER = SOON + dt.timedelta(hours=1)


def whole(monitor: Monitor) -> dict[str, Any]:
    return report.whole(SAGAS, partial(aggregates_of_all, monitor.queries, LATER))


def totals_since(monitor: Monitor) -> dict[str, Any]:
    since = START - dt.timedelta(days=1)
    return report.whole(SAGAS, partial(aggregates_since, monitor.queries, since, LATER, STUCK_AFTER))


def counters(monitor: Monitor) -> dict[str, int]:
    return monitor.queries.totals(LATER).counts


async def test_a_cancellation_alone_is_no_order_and_in_no_total(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-1", CONFIRMED)
    stream.publish("CMD-NOBODY", [ASKED])
    await monitor.read(stream)
    totals = monitor.queries.totals(SOON)
    whole = report.whole(SAGAS, partial(aggregates_of_all, monitor.queries, SOON))
    assert (totals.instances, totals.in_flight, totals.state(State.UNKNOWN)) == (1, 0, 1)
    assert (whole["sagas"]["total"], whole["sagas"]["new"], whole["unknown_orders"]) == (1, 0, 1)
    assert whole["outcomes"]["succeeded_percent"] == 100
    assert [order.key for order in monitor.queries.instances(None, 10, SOON)] == ["CMD-1"]
    assert [order.key for order in monitor.queries.instances(State.UNKNOWN, 10, SOON)] == ["CMD-NOBODY"]
    shown = monitor.queries.instance(order_with("CMD-NOBODY"), SOON)
    assert shown is not None
    assert (shown.state, shown.at_rest, shown.remaining) == (State.UNKNOWN, True, ())


async def test_an_order_that_arrives_after_its_cancellation_is_an_order(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-1", [ASKED])
    await monitor.read(stream)
    stream.publish("CMD-1", CONFIRMED)
    await monitor.read(stream)
    totals = monitor.queries.totals(SOON)
    assert (totals.instances, totals.state(State.UNKNOWN), totals.count("started")) == (1, 0, 1)
    assert [order.key for order in monitor.queries.instances(None, 10, SOON)] == ["CMD-1"]


@pytest.mark.parametrize("type_", sorted(set(KNOWN) - {"commande.initiee"}))
async def test_an_event_without_a_start_event_makes_no_order(stream: Stream, monitor: Monitor, type_: str) -> None:
    stream.publish("CMD-1", CONFIRMED)
    await monitor.read(stream)
    before, since = whole(monitor), totals_since(monitor)
    stream.publish("CMD-NOBODY", [Line(type_)])
    await monitor.read(stream)
    assert whole(monitor) == before | {"unknown_orders": 1, "events": before["events"] + 1}
    assert totals_since(monitor) == since | {"unknown_orders": 1, "events": before["events"] + 1}
    assert monitor.queries.totals(LATER).stuck == 0
    assert monitor.queries.in_flight(10, LATER) == []
    assert [one["commande_id"] for one in instance_reports(monitor.queries, LATER)] == ["CMD-1"]
    assert [order.key for order in monitor.queries.instances(None, 10, LATER)] == ["CMD-1"]
    assert [order.key for order in monitor.queries.instances(State.UNKNOWN, 10, LATER)] == ["CMD-NOBODY"]


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_an_order_whose_start_event_comes_late_counts_once(
    stream: Stream, monitor: Monitor, tmp_path: Path, scenario: str
) -> None:
    lines = SCENARIOS[scenario]
    for line in [*lines[1:], lines[0]]:
        stream.publish("CMD-1", [line])
        await monitor.read(stream)
    at_once, told = Monitor(tmp_path / "at_once.sqlite3"), Stream()
    told.publish("CMD-1", lines)
    await at_once.read(told)
    assert whole(monitor) == whole(at_once)
    assert counters(monitor) == counters(at_once)
    assert counters(monitor)["started"] == 1
    at_once.close()


EVENTS = [(f"CMD-{number}", line) for number, scenario in enumerate(SCENARIOS.values()) for line in scenario]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_totals_equal_a_recount_in_any_order_of_arrival(tmp_path: Path, data: st.DataObject) -> None:
    """Random events of several orders, in any order and batches, many without their start event."""
    some = data.draw(st.lists(st.sampled_from(EVENTS), min_size=1, unique_by=lambda one: (one[0], one[1].type)))
    batch = data.draw(st.integers(1, 10))
    with TemporaryDirectory(dir=tmp_path) as folder:
        shown_timeline, stream = Monitor(Path(folder) / "grown.sqlite3"), Stream()
        stream.batch = batch
        for commande_id, line in some:
            stream.publish(commande_id, [line])
        asyncio.run(shown_timeline.read(stream))
        assert totals(shown_timeline) == recounted(shown_timeline)
        prune(shown_timeline.store, Thresholds(60, 6, dt.timedelta(), dt.timedelta()), SOON + dt.timedelta(days=1))
        assert totals(shown_timeline) == recounted(shown_timeline)
        shown_timeline.close()


def totals(monitor: Monitor) -> dict[str, int]:
    """The totals that depend on the current state of the orders."""
    kept = ("instances", "at_rest", "state.", "flag.", "awaited.", "at_step.", "left_out.", "events", "said.")
    counts = monitor.queries.totals(SOON).counts
    times = {f"times.{name}": times.count for name, times in monitor.queries.times().items() if times.count}
    return {name: n for name, n in counts.items() if name.startswith(kept)} | times


def recounted(monitor: Monitor) -> dict[str, int]:
    """The same totals, counted from the orders and their events."""
    counts: Counter[str] = Counter()
    for order in [order for state in State for order in monitor.queries.instances(state, 1000, SOON)]:
        events = monitor.queries.events(order.instance)
        counts.update(["events"] * len(events), state=0)
        counts.update(f"said.{event.type}" for event in events)
        counts.update(
            [f"state.{order.state}", *(f"flag.{flag}" for flag in order.flags if flag is not Flag.STUCK)]
        )
        if any(event.type == CHOREOGRAPHY.starts.TYPE for event in events):
            counts.update(["instances"], at_rest=int(order.at_rest))
            counts.update(f"awaited.{type_}" for type_ in order.remaining)
            waits = awaited_steps(CHOREOGRAPHY, order.at_rest, order.remaining)
            counts.update(f"at_step.{step}" for step in waits)
            counts.update(f"times.{step.step}" for step in order.steps if step.duration_ms is not None)
            counts[f"times.{durations.WHOLE}"] += order.duration_ms is not None
    return {name: n for name, n in counts.items() if n}


async def test_a_flood_keeps_the_newest_and_says_how_many_it_has_forgotten(
    stream: Stream, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys that need a person are kept longest."""
    monkeypatch.setattr(retention, "UNKNOWN_KEPT", 30)
    stream.publish("CMD-1", CONFIRMED)
    stream.publish("CMD-LOST", PAID[-1:])
    stream.set_aside("commande", event_bytes("CMD-LOST", PAID[-1]))
    for number in range(700):
        stream.publish(f"X-{number:03}", [(ASKED, Line("commande.creee"), Line("stock.reserve"))[number % 3]])
    await monitor.read(stream)
    report_ = whole(monitor)
    assert (report_["unknown_orders"], report_["unknown_orders_forgotten"]) == (30, 671)
    kept = [f"X-{number}" for number in range(699, 670, -1)]
    assert [o.key for o in monitor.queries.instances(State.UNKNOWN, 1000, SOON)] == [*kept, "CMD-LOST"]
    assert monitor.queries.instance(order_with("CMD-1"), SOON) is not None
    assert totals(monitor) == recounted(monitor)
    assert monitor.queries.ask("SELECT count(*) FROM search") == [(31,)]
    assert monitor.queries.ask("SELECT count(*) FROM said") == [(len(CONFIRMED) + 30,)]


@pytest.mark.parametrize("first", [[], PAID])
async def test_at_most_so_many_events_of_a_key_are_kept_and_the_rest_is_counted(
    stream: Stream, monitor: Monitor, monkeypatch: pytest.MonkeyPatch, first: list[Line]
) -> None:
    """An event of a type that the key does not have yet is always kept."""
    monkeypatch.setattr(messages, "EVENTS_KEPT", 200)
    stream.publish("CMD-1", first)
    stream.publish("CMD-1", [replace(ASKED, id=f"again {number}") for number in range(1000)])
    stream.publish("CMD-1", undone("commande.annulation_demandee"))
    stream.publish("CMD-2", CONFIRMED)
    await monitor.read(stream)
    found = whole(monitor)
    assert found["events"] + found["ignored"]["excess"] == len(first) + 1000 + 4 + len(CONFIRMED)
    assert 200 <= len(monitor.queries.events(order_with("CMD-1"))) < 400
    order = monitor.queries.instance(order_with("CMD-1"), SOON)
    assert order is not None
    assert order.state is (State.COMPENSATED if first else State.UNKNOWN)
    assert found["duplicates"] == 0


async def test_dead_letters_and_retries_of_unknown_keys_are_forgotten(stream: Stream, monitor: Monitor) -> None:
    stream.set_aside("stock", b'{"id": "1", "type": "x", "data": {"commande_id": "JUNK"}}', "invalid")
    await monitor.read(stream)
    assert monitor.queries.dead_letters(order_with("JUNK"))
    prune(monitor.store, Thresholds(60, 6, command=COMMAND), SOON + dt.timedelta(days=31))
    assert not monitor.queries.dead_letters(order_with("JUNK"))


def test_show_says_that_a_cancellation_is_kept_and_after_the_deadline_that_it_is_over(
    stream: Stream, command: Any
) -> None:
    stream.publish("CMD-LONG-AGO", [ASKED])
    stream.publish("CMD-NOW", [ASKED], dt.datetime.now(dt.UTC))
    assert "no such order has begun; over: no such order came in time" in " ".join(
        command("show", "CMD-LONG-AGO")[1].split()
    )
    assert "no such order has begun; kept in case the order comes" in " ".join(
        command("show", "CMD-NOW")[1].split()
    )


def test_the_foot_of_the_list_counts_keys_without_a_beginning_apart(stream: Stream, command: Any) -> None:
    stream.publish("CMD-1", CONFIRMED)
    stream.publish("CMD-NOBODY", [ASKED])
    stream.publish("CMD-HEADLESS", [Line("stock.reserve")])
    foot = command("list")[1].splitlines()[-1]
    assert "apart from them 1 cancelled, never begun" in foot
    assert "apart from them 1 without a beginning" in foot
    assert foot.startswith("1 of 1 orders")
    foot = command("list", "--state", "UNKNOWN")[1].splitlines()[-1]
    assert foot.startswith("0 of 1 orders")
    assert "1 of 1 cancelled, never begun" in foot
    assert "1 of 1 without a beginning" in foot


def test_show_says_that_events_of_services_alone_are_no_order(stream: Stream, command: Any) -> None:
    stream.publish("CMD-LONG-AGO", [Line("paiement.effectue"), Line("commande.creee")])
    stream.publish("CMD-NOW", [Line("stock.reserve")], dt.datetime.now(dt.UTC))
    code, shown, _ = command("show", "CMD-LONG-AGO")
    text = " ".join(shown.split())
    assert code == 0
    assert (
        "no order: services spoke of it, and no commande.initiee was heard; over: it has not come in time" in text
    )
    assert "began" not in text
    assert "waiting" not in text
    assert {line.split()[0] for line in shown.splitlines() if " done" in line} == {
        "stock",  # which paiement answers
        "paiement",
        "commande",
    }
    assert "heard; kept in case it comes" in " ".join(command("show", "CMD-NOW")[1].split())


@pytest.mark.parametrize(("lines", "never_begun"), [([Line("stock.reserve")], True), (CONFIRMED, False)])
def test_show_json_says_whether_a_key_is_no_order(
    stream: Stream, command: Any, lines: list[Line], never_begun: bool
) -> None:
    stream.publish("CMD-1", lines)
    shown = json.loads(command("show", "CMD-1", "--json")[1])
    assert (shown["unknown_order"] is not None) == never_begun
    assert (shown["started"] is None) == never_begun
    assert "waiting" not in {step["state"] for step in shown["steps"]}


@pytest.mark.parametrize("scenario", ["refused by payment", "refused by stock"])
def test_the_decider_cancels_a_refused_order_and_does_not_refuse_it(
    stream: Stream, command: Any, scenario: str
) -> None:
    stream.publish("CMD-1", SCENARIOS[scenario])
    shown = json.loads(command("show", "CMD-1", "--json")[1])
    states = {step["step"]: step["state"] for step in shown["steps"]}
    assert states[CHOREOGRAPHY.decider] == "cancelled"
    assert list(states.values()).count("refused") == 1
