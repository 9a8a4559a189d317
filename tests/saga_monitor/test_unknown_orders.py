"""A demand to cancel what nobody has placed is shown apart from the orders, and a flood of them is bounded."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.saga_state import State
from saga_monitor.projection import retention
from saga_monitor.reports import report
from tests.saga_monitor.conftest import SOON
from tests.saga_monitor.memory_stream import CONFIRMED, STORIES, Line

if TYPE_CHECKING:
    from tests.saga_monitor.conftest import Monitor
    from tests.saga_monitor.memory_stream import Stream

ASKED = Line("commande.annulation_demandee")


async def test_a_demand_alone_is_no_order_and_in_no_total(stream: Stream, monitor: Monitor) -> None:
    stream.tell("CMD-1", CONFIRMED)
    stream.tell("CMD-NOBODY", [ASKED])
    await monitor.hear(stream)
    totals, whole = monitor.queries.totals(SOON), report.whole(monitor.queries, SOON)
    assert (totals.orders, totals.in_flight, totals.state(State.UNKNOWN)) == (1, 0, 1)
    assert (whole["sagas"]["total"], whole["sagas"]["new"], whole["unknown_orders"]) == (1, 0, 1)
    assert whole["outcomes"]["succeeded_percent"] == 100
    assert [order.commande_id for order in monitor.queries.orders(None, 10, SOON)] == ["CMD-1"]
    assert [order.commande_id for order in monitor.queries.orders(State.UNKNOWN, 10, SOON)] == ["CMD-NOBODY"]
    shown = monitor.queries.order("CMD-NOBODY", SOON)
    assert shown is not None
    assert (shown.state, shown.at_rest, shown.remaining) == (State.UNKNOWN, True, ())


async def test_an_order_that_comes_after_the_demand_to_cancel_it_is_an_order(
    stream: Stream, monitor: Monitor
) -> None:
    stream.tell("CMD-1", [ASKED])
    await monitor.hear(stream)
    stream.tell("CMD-1", CONFIRMED)
    await monitor.hear(stream)
    totals = monitor.queries.totals(SOON)
    assert (totals.orders, totals.state(State.UNKNOWN), totals.count("started")) == (1, 0, 1)
    assert [order.commande_id for order in monitor.queries.orders(None, 10, SOON)] == ["CMD-1"]


async def test_a_flood_of_demands_keeps_the_newest(
    stream: Stream, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "UNKNOWN_KEPT", 30)
    stream.tell("CMD-1", CONFIRMED)
    for number in range(700):
        stream.tell(f"X-{number:03}", [ASKED])
    await monitor.hear(stream)
    while retention.bound_unknown(monitor.store):
        pass
    assert monitor.queries.totals(SOON).state(State.UNKNOWN) == 30
    assert len(monitor.queries.orders(State.UNKNOWN, 1000, SOON)) == 30
    assert monitor.queries.order("X-699", SOON) is not None
    assert monitor.queries.order("X-000", SOON) is None
    assert monitor.queries.order("CMD-1", SOON) is not None


async def test_dead_letters_and_retries_of_orders_that_there_never_were_are_forgotten(
    stream: Stream, monitor: Monitor
) -> None:
    stream.set_aside("stock", b'{"id": "1", "type": "x", "data": {"commande_id": "JUNK"}}', "invalid")
    await monitor.hear(stream)
    assert monitor.queries.dead_letters("JUNK")
    retention.prune(monitor.store, SOON)
    assert not monitor.queries.dead_letters("JUNK")


def test_show_says_that_a_demand_is_kept_and_after_the_deadline_that_it_is_over(
    stream: Stream, command: Any
) -> None:
    stream.tell("CMD-LONG-AGO", [ASKED])
    stream.tell("CMD-NOW", [ASKED], dt.datetime.now(dt.UTC))
    assert "nobody has placed the order; over: no such order was placed" in " ".join(
        command("show", "CMD-LONG-AGO")[1].split()
    )
    assert "nobody has placed the order; kept in case the order comes" in " ".join(
        command("show", "CMD-NOW")[1].split()
    )


def test_the_foot_of_the_list_names_what_nobody_is_known_to_have_placed(stream: Stream, command: Any) -> None:
    stream.tell("CMD-1", CONFIRMED)
    stream.tell("CMD-NOBODY", [ASKED])
    stream.tell("CMD-HEADLESS", [Line("stock.reserve")])
    foot = command("list")[1].splitlines()[-1]
    assert "apart from them 1 cancelled, never placed" in foot
    assert "of them 1 without a beginning" in foot


@pytest.mark.parametrize("story", ["refused by payment", "refused by stock"])
def test_the_decider_has_cancelled_a_refused_order_and_not_refused_it(
    stream: Stream, command: Any, story: str
) -> None:
    stream.tell("CMD-1", STORIES[story])
    shown = json.loads(command("show", "CMD-1", "--json")[1])
    states = {step["step"]: step["state"] for step in shown["steps"]}
    assert states[CHOREOGRAPHY.decider] == "cancelled"
    assert list(states.values()).count("refused") == 1
