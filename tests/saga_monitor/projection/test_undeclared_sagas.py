"""Instances of a saga that is not declared any more stand in no list, on no page and in no count.

They stay in the file until they are forgotten: the saga may be declared again.
"""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from choregraphie.saga.saga_set import SagaSet
from saga_monitor.analysis.anomaly import Kind, Thresholds
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.diagnosis.anomalies import anomalies_of
from saga_monitor.projection.search import InstanceFilter
from saga_monitor.web.filters import Filters
from saga_monitor.web.reader import Reader
from tests.saga_monitor.conftest import STUCK_AFTER, Monitor
from tests.saga_monitor.memory_stream import START, Line, Stream, event_bytes
from tests.saga_monitor.projection.test_several_sagas import HALF_BOOKED, RECEIVED
from tests.support.several_sagas import RETURNS, SEVERAL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LATER = START + dt.timedelta(hours=1)
RETURN = "R-1"


@pytest.fixture
def returns(tmp_path: Path, stream: Stream) -> Iterator[Monitor]:
    """A file in which one return is older than some voyages, read by an application of returns alone."""
    several = Monitor(tmp_path / "several.sqlite3", SEVERAL.saga_set)
    assert several.store.acquire()
    stream.publish(RETURN, RECEIVED)
    stream.set_aside("paiement", event_bytes(RETURN, RECEIVED[-1]))
    for number in range(3):
        stream.publish(f"V-{number} R-1", [*HALF_BOOKED, Line("voyage.demande", id=f"again-{number}")])
        stream.set_aside("hotel", event_bytes(f"V-{number} R-1", HALF_BOOKED[0]))
    yield several
    several.close()


async def read_by_returns(returns: Monitor, stream: Stream) -> Reader:
    await returns.read(stream)
    return Reader(returns.path, STUCK_AFTER, SagaSet((RETURNS,)))


async def test_the_first_of_each_list_is_of_a_declared_saga(returns: Monitor, stream: Stream) -> None:
    with closing(await read_by_returns(returns, stream)) as reader:
        lists = {
            "all": reader.instances(None, 1, LATER),
            "state": reader.instances(State.RUNNING, 1, LATER),
            "flagged": reader.flagged(Flag.INTERVENTION, 1, LATER),
            "stuck": reader.flagged(Flag.STUCK, 1, LATER),
            "urgent": reader.urgent(1, LATER),
            "in flight": reader.in_flight(1, LATER),
            "changed": reader.changed(-1, 1, LATER),
            "silent": reader.silent(START, LATER, 1, LATER),
            "searched": reader.search("r-1", InstanceFilter(), 1, LATER),
            "searched among few": reader.search("r-1", InstanceFilter(flag=Flag.STUCK), 1, LATER),
        }
        letters = reader.newest_dead_letters(1)
    assert {name: [one.key for one in found] for name, found in lists.items()} == {
        name: [RETURN] for name in lists
    }
    assert [letter.key for letter in letters] == [RETURN]


@pytest.mark.parametrize(
    "filters",
    [
        Filters(limit=1),
        Filters(flag="STUCK", limit=1),
        Filters(state="RUNNING", limit=1),
        Filters(q="r-1", limit=1),
    ],
)
async def test_a_page_leads_to_no_empty_one(returns: Monitor, stream: Stream, filters: Filters) -> None:
    with closing(await read_by_returns(returns, stream)) as reader:
        page = reader.page(filters, LATER)
    assert [one.key for one in page.instances] == [RETURN]
    assert (page.newer, page.older) == (None, None)


async def test_they_are_neither_counted_as_stuck_nor_as_anomalies(returns: Monitor, stream: Stream) -> None:
    with closing(await read_by_returns(returns, stream)) as reader:
        totals = reader.totals(LATER)
        found = anomalies_of(reader, None, LATER, Thresholds(STUCK_AFTER, 3, command=SEVERAL.command))
    assert (totals.instances, totals.stuck, totals.flag(Flag.REPEATED_START)) == (1, 1, 0)
    assert {(one.kind, one.saga, one.count) for one in found if one.kind is not Kind.DEAD_LETTER} == {
        (Kind.STUCK, "retour", 1)
    }
