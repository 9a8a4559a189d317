"""A projection of several sagas: an instance is a saga's name and a key, and totals are kept saga by saga."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from choregraphie.saga.saga_set import SagaSet
from saga_monitor.analysis.anomaly import Thresholds
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.projection.aggregates import aggregates_of_all, aggregates_since
from saga_monitor.projection.case_queries import case, step_spreads
from saga_monitor.projection.dead_letters import mentions
from saga_monitor.projection.durations import WHOLE
from saga_monitor.projection.indexes import AMONG_SAGAS, OF_SAGA, PLACED, has
from saga_monitor.projection.instance_pages import PageQueries, sorting_of
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.report_queries import dead_letter_reasons, event_reasons, numbers_placed
from saga_monitor.projection.search import InstanceFilter
from saga_monitor.projection.snapshot import projection_at
from saga_monitor.stream.maintenance import prune
from tests.saga_monitor.conftest import SOON, STUCK_AFTER, Monitor
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, START, Line, Stream, event_bytes
from tests.support.order_saga import order_with
from tests.support.several_sagas import RETURNS, SEVERAL, retour, voyage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ASKED = [Line("retour.demande", data={"motif": "trop petit"})]
RECEIVED = [*ASKED, Line("stock.retour_recu", "retour.demande", 200)]
ACCEPTED = [
    *RECEIVED,
    Line("paiement.avoir_verse", "stock.retour_recu", 500),
    Line("retours.accepte", "paiement.avoir_verse", 700),
]
REFUSED = [
    *ASKED,
    Line("stock.retour_abime", "retour.demande", 200, {"motif": "abîmé"}),
    Line("retours.refuse", "stock.retour_abime", 300),
    Line("stock.retour_renvoye", "retours.refuse", 400),
    Line("paiement.avoir_repris", "retours.refuse", 450),
]
HALF_BOOKED = [Line("voyage.demande"), Line("vol.reserve", "voyage.demande", 100)]
SAGAS = SEVERAL.saga_set
LATER = START + dt.timedelta(hours=1)


@pytest.fixture
def several(tmp_path: Path) -> Iterator[Monitor]:
    monitor = Monitor(tmp_path / "several.sqlite3", SAGAS)
    assert monitor.store.acquire()
    yield monitor
    monitor.close()


async def read_all(several: Monitor, stream: Stream) -> None:
    """An order, a return and a voyage, all with the key SAME, and a few more returns."""
    stream.publish("SAME", CONFIRMED)
    stream.publish("SAME", RECEIVED)
    stream.publish("SAME", HALF_BOOKED)
    stream.publish("R-2", ACCEPTED)
    stream.publish("R-3", REFUSED)
    stream.retry("paiement", event_bytes("SAME", RECEIVED[-1]))
    stream.set_aside("paiement", event_bytes("SAME", RECEIVED[-1]))
    await several.read(stream)


async def test_instances_of_different_sagas_with_one_key_never_mix(several: Monitor, stream: Stream) -> None:
    await read_all(several, stream)
    queries = several.queries
    found = {one.saga: one for one in queries.instances_with("SAME", SOON)}
    assert list(found) == ["commande", "retour", "voyage"]
    assert {saga: one.state for saga, one in found.items()} == {
        "commande": State.COMPLETED,
        "retour": State.RUNNING,
        "voyage": State.RUNNING,
    }
    assert [event.type for event in queries.events(retour("SAME"))] == ["retour.demande", "stock.retour_recu"]
    assert [event.type for event in queries.events(order_with("SAME"))] == [line.type for line in CONFIRMED]
    assert {saga: (one.retries, one.dead_letters) for saga, one in found.items()} == {
        "commande": (0, 0),
        "retour": (1, 1),
        "voyage": (0, 0),
    }
    assert {saga: one.flags for saga, one in found.items() if one.flags} == {"retour": (Flag.INTERVENTION,)}
    assert queries.retries(order_with("SAME")) == []
    assert queries.dead_letters(voyage("SAME")) == []
    assert [letter.saga for letter in queries.dead_letters(retour("SAME"))] == ["retour"]
    assert mentions(queries, "SAME", "voyage").letters == []
    assert len(mentions(queries, "SAME").letters) == 1
    assert several.changes.count("SAME") == 3


async def test_totals_are_those_of_one_saga_or_of_all(several: Monitor, stream: Stream) -> None:
    await read_all(several, stream)
    stream.set_aside("stock", b"\xff", "unreadable")
    await several.read(stream)
    of = {saga: several.queries.totals(SOON, saga=saga) for saga in (*SAGAS.by_name, None)}
    assert {saga: totals.instances for saga, totals in of.items()} == {
        "commande": 1,
        "retour": 3,
        "voyage": 1,
        None: 5,
    }
    assert {saga: totals.in_flight for saga, totals in of.items()} == {
        "commande": 0,
        "retour": 1,
        "voyage": 1,
        None: 2,
    }
    alone = Counter[str]()
    for name in SAGAS.by_name:
        alone.update(of[name].counts)
    # The unreadable dead letter is of no saga: it counts in all together alone.
    unread = Counter({"dead_letters": 1, "dead.unreadable": 1, "dead_at.stock.unreadable": 1})
    assert Counter(of[None].counts) == alone + unread
    assert {saga: several.queries.totals(LATER, saga=saga).stuck for saga in of} == {
        "commande": 0,
        "retour": 1,
        "voyage": 1,
        None: 2,
    }


async def test_every_list_and_the_search_are_of_one_saga_or_of_all(several: Monitor, stream: Stream) -> None:
    await read_all(several, stream)
    queries = several.queries
    lists = {
        "all": queries.instances(None, 10, LATER, "retour"),
        "state": queries.instances(State.RUNNING, 10, LATER, "retour"),
        "flagged": queries.flagged(Flag.INTERVENTION, 10, LATER, "retour"),
        "stuck": queries.flagged(Flag.STUCK, 10, LATER, "retour"),
        "urgent": queries.urgent(10, LATER, "retour"),
        "in flight": queries.in_flight(10, LATER, "retour"),
        "changed": queries.changed(-1, 10, LATER, "retour"),
        "silent": queries.silent(START, LATER, 10, LATER, "retour"),
        "searched": queries.search("same", InstanceFilter(saga="retour"), 10, LATER),
    }
    same = [retour("SAME")]
    found = {name: [one.instance for one in listed] for name, listed in lists.items()}
    ended = [retour("R-3"), retour("R-2")]
    assert found == dict.fromkeys(lists, same) | {"all": [*same, *ended], "changed": [*ended[::-1], *same]}
    everywhere = queries.search("same", InstanceFilter(), 10, LATER)
    assert {one.saga for one in everywhere} == {"commande", "retour", "voyage"}
    assert queries.search("cmd-1", InstanceFilter(), 10, LATER)[0].saga == "retour"  # the order that it returns


@pytest.mark.parametrize(
    "only", [InstanceFilter(), InstanceFilter(state=State.RUNNING), InstanceFilter(flag=Flag.STUCK)]
)
async def test_pages_of_one_saga_follow_one_another(
    several: Monitor, stream: Stream, only: InstanceFilter
) -> None:
    for number in range(4):
        stream.publish(f"K-{number}", RECEIVED)
        stream.publish(f"K-{number}", HALF_BOOKED)
    await several.read(stream)
    one_saga = InstanceFilter(only.state, only.flag, saga="retour")
    with closing(PageQueries(several.path, STUCK_AFTER, SAGAS)) as pages:
        first = pages.sorted_instances(one_saga, 3, LATER)

        place = sorting_of(one_saga).place_of(first[-1])
        rest = pages.sorted_instances(one_saga, 3, LATER, place)
    assert [one.instance for one in (*first, *rest)] == [retour(f"K-{number}") for number in (3, 2, 1, 0)]


def plan(queries: Queries, clause: str) -> str:
    """The index that a list of one saga is read from."""
    bound = json.dumps(["retour"]) if AMONG_SAGAS in clause else "retour"
    rows = queries.ask(f"EXPLAIN QUERY PLAN SELECT * FROM instances WHERE {clause} DESC LIMIT 10", bound)
    return " ".join(row[-1] for row in rows)


@pytest.mark.parametrize(
    ("clause", "index"),
    [
        (f"{PLACED} AND {OF_SAGA} ORDER BY last_offset", "instances_of_saga (saga=?)"),
        (
            f"state = 'COMPLETED' AND {OF_SAGA} ORDER BY last_offset",
            "instances_of_saga_by_state (saga=? AND state=?)",
        ),
        (f"at_rest = 0 AND {AMONG_SAGAS} ORDER BY last_offset", "instances_in_flight"),
        (f"at_rest = 0 AND quiet_since < 7 AND {AMONG_SAGAS} ORDER BY quiet_since", "instances_silent"),
        (f"urgent = 1 AND {AMONG_SAGAS} ORDER BY last_offset", "instances_urgent"),
        (f"{has(Flag.CONTRADICTION)} AND {AMONG_SAGAS} ORDER BY last_offset", "instances_contradiction"),
        (f"last_offset > 7 AND {AMONG_SAGAS} ORDER BY last_offset", "instances_recent"),
    ],
)
def test_each_list_of_one_saga_is_read_from_an_index_and_not_sorted(
    several: Monitor, clause: str, index: str
) -> None:
    """Neither a rare saga among very many others nor a rare state of a common one is looked for row by row."""
    several.queries.totals(SOON)
    found = plan(several.queries, clause)
    assert f"USING INDEX {index}" in found
    assert "TEMP B-TREE" not in found


async def test_durations_and_reports_are_of_one_saga_or_of_all(several: Monitor, stream: Stream) -> None:
    await read_all(several, stream)
    queries = several.queries
    assert queries.times("retour")[WHOLE].counts == {700: 1, 450: 1}
    assert queries.times()[WHOLE].count == 3
    # Orders and returns both have a step named stock.
    assert (queries.times()["stock"].count, queries.times("retour")["stock"].count) == (4, 3)
    spreads = step_spreads(queries)
    assert (spreads["retour", "step.stock"].total, spreads["voyage", "step.reglement"].total) == (3, 0)
    for saga in (*SAGAS.by_name, None):
        all_of_it = aggregates_of_all(queries, SOON, saga)
        since = aggregates_since(queries, START - dt.timedelta(days=1), SOON, STUCK_AFTER, saga)
        assert (since.states, since.flags, since.times) == (all_of_it.states, all_of_it.flags, all_of_it.times)
        assert (since.events, since.retries) == (all_of_it.events, all_of_it.retries)
    numbers = numbers_placed(queries, 0, None, 10, "retour")
    assert [one.instance for one in queries.numbered(numbers, SOON)] == [retour(k) for k in ("SAME", "R-2", "R-3")]
    assert [row[:3] for row in dead_letter_reasons(queries, numbers)] == [
        (retour("SAME"), "paiement", "exhausted")
    ]
    assert (retour("R-3"), "stock.retour_abime", "abîmé") in event_reasons(queries, numbers)


async def test_what_is_forgotten_is_taken_from_the_totals_of_its_saga(several: Monitor, stream: Stream) -> None:
    await read_all(several, stream)
    before = several.queries.totals(SOON, saga="voyage").counts
    prune(several.store, Thresholds(STUCK_AFTER, 6, keep=dt.timedelta(days=1)), START + dt.timedelta(days=2))
    totals = several.queries.totals(SOON, saga="retour")
    assert (totals.instances, totals.count("events"), totals.named("said.")["retour.demande"]) == (1, 2, 1)
    assert several.queries.totals(SOON, saga="voyage").counts == before
    assert several.queries.totals(SOON, saga="commande").instances == 0
    assert WHOLE not in several.queries.times()


async def test_the_past_and_a_rebuilt_projection_know_the_same(
    several: Monitor, stream: Stream, tmp_path: Path
) -> None:
    await read_all(several, stream)
    anew = Monitor(tmp_path / "anew.sqlite3", SAGAS)
    assert anew.store.acquire()
    await anew.read(stream)
    assert anew.known() == several.known()
    anew.close()
    with (
        projection_at(several.path, START + dt.timedelta(milliseconds=100), SAGAS) as path,
        closing(Queries(path, STUCK_AFTER, SAGAS)) as past,
    ):
        states = {one.saga: one.state for one in past.instances_with("SAME", SOON)}
    assert states == {"commande": State.RUNNING, "retour": State.NEW, "voyage": State.RUNNING}


async def test_instances_of_a_saga_that_is_not_declared_any_more_are_left_out(
    several: Monitor, stream: Stream
) -> None:
    """They stay in the file until they are forgotten: the saga may be declared again."""
    await read_all(several, stream)
    fewer = SagaSet((RETURNS,))
    with closing(Queries(several.path, STUCK_AFTER, fewer)) as queries:
        assert {one.saga for one in queries.instances(None, 10, SOON)} == {"retour"}
        assert [one.saga for one in queries.instances_with("SAME", SOON)] == ["retour"]
        assert queries.totals(SOON).instances == 3
        assert case(queries, order_with("SAME"), SOON) is None
    prune(several.store, Thresholds(STUCK_AFTER, 6, keep=dt.timedelta(days=1)), START + dt.timedelta(days=2))
    assert several.queries.instance(order_with("SAME"), SOON) is None


async def test_a_file_of_one_saga_takes_a_second_one(several: Monitor, stream: Stream, tmp_path: Path) -> None:
    """An application that declares another saga goes on with its file."""
    orders = Monitor(tmp_path / "grown.sqlite3")
    assert orders.store.acquire()
    stream.publish("CMD-1", HELD)
    await orders.read(stream)
    orders.close()
    grown = Monitor(tmp_path / "grown.sqlite3", SAGAS)
    assert grown.store.acquire()
    stream.publish("R-1", RECEIVED)
    await grown.read(stream)
    assert {one.instance for one in grown.queries.instances(None, 10, SOON)} == {
        order_with("CMD-1"),
        retour("R-1"),
    }
    assert [one.key for one in grown.queries.instances(None, 10, SOON, "retour")] == ["R-1"]
    grown.close()
