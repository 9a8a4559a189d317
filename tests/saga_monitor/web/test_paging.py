"""With any filter, the pages of a list hold each order once, in the same sequence in both directions."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest

from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.web.filters import IN_FLIGHT, BadRequestError, Filters, read_filters
from saga_monitor.web.reader import Reader
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, SCENARIOS, START, Line, Stream
from tests.saga_monitor.web.served import read_all
from tests.support.order_saga import SAGAS

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = START + dt.timedelta(hours=1)
FILTERS = [
    Filters(state=state, flag=flag, q=q, limit=7)
    for state, flag, q in itertools.product(
        ("", IN_FLIGHT, State.RUNNING, State.COMPENSATED), ("", Flag.STUCK, Flag.INTERVENTION), ("", "CMD-1")
    )
]

FREQUENT = [
    *(
        Filters(state=state, flag=flag, q=q, limit=7)
        for state in ("", IN_FLIGHT, State.RUNNING)
        for flag in ("", Flag.STUCK, Flag.INTERVENTION)
        for q in ("", "CMD-1")
    ),
    Filters(flag=Flag.CONTRADICTION, limit=7),
    Filters(flag=Flag.CONTRADICTION, q="CMD-", limit=7),
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Two hundred orders within one second; many are unfinished, some have dead letters."""
    stream, rng = Stream(), random.Random(7)
    for number in range(200):
        lines = rng.choice(list(SCENARIOS.values()))
        told = lines[: rng.choice([len(lines), 1, 2, 3])]
        stream.publish(f"CMD-{number}", told)
        if rng.random() < 0.3:
            stream.set_aside("stock", stream.kept[-len(told)].body)
    path = tmp_path_factory.mktemp("paging") / "monitor.sqlite3"
    read_all(path, stream)
    reader = Reader(path, 60.0, SAGAS)
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Two thousand orders; most are silent or have dead letters, one contradicts itself."""
    stream = Stream()
    stream.batch = 2000
    for number in range(2000):
        at_rest = number % 4 == 0
        stream.publish(f"CMD-{number}", CONFIRMED if at_rest else HELD)
        if number % 2 == 0:
            stream.set_aside("commande", stream.kept[-1].body)
    stream.publish("CMD-TWICE", [*CONFIRMED, Line("commande.creee", "paiement.effectue", 700, id="again")])
    path = tmp_path_factory.mktemp("many") / "monitor.sqlite3"
    read_all(path, stream)
    reader = Reader(path, 60.0, SAGAS)
    yield reader
    reader.close()


def walk(reader: Reader, filters: Filters) -> list[list[str]]:
    pages, wanted = [], filters
    while True:
        page = reader.page(wanted, NOW)
        pages.append([order.key for order in page.instances])
        if page.older is None:
            return pages
        wanted = page.older


@pytest.mark.parametrize("filters", FILTERS, ids=lambda f: f.address())
def test_walking_down_finds_each_order_once(reader: Reader, filters: Filters) -> None:
    found = list(itertools.chain(*walk(reader, filters)))
    assert len(found) == len(set(found))
    everything = reader.instances(None, 1000, NOW)
    assert set(found) == {
        order.key
        for order in everything
        if filters.q in order.key
        and (not filters.flag or filters.flag in order.flags)
        and (filters.state in {"", order.state} or (filters.state == IN_FLIGHT and not order.at_rest))
    }


@pytest.mark.parametrize("filters", FILTERS, ids=lambda f: f.address())
def test_walking_back_up_shows_the_same_pages(reader: Reader, filters: Filters) -> None:
    pages = walk(reader, filters)
    page = reader.page(filters, NOW)
    while page.older:
        page = reader.page(page.older, NOW)
    for expected in reversed(pages[:-1]):
        assert page.newer
        page = reader.page(page.newer, NOW)
        assert [order.key for order in page.instances] == expected
    if page.newer is not None:
        page = reader.page(page.newer, NOW)
    assert page.newer is None


@pytest.mark.parametrize("filters", FILTERS, ids=lambda f: f.address())
def test_an_address_leads_to_the_same_list(reader: Reader, filters: Filters) -> None:
    older = reader.page(filters, NOW).older or filters
    again = read_filters(dict(parse_qsl(urlsplit(older.address()).query)), SAGAS)
    assert reader.page(again, NOW) == reader.page(older, NOW)


@pytest.mark.parametrize("query", [{"after": "1~2"}, {"flag": "STUCK", "after": "1"}, {"before": "--1"}])
def test_a_place_in_another_list_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(BadRequestError):
        read_filters(query, SAGAS)


def test_a_place_of_another_sorting_is_refused_or_harmless(reader: Reader) -> None:
    for query in ({"flag": "STUCK", "after": "5"}, {"after": "1~NEW~CMD"}, {"q": "CMD", "after": "zzz"}):
        try:
            reader.page(read_filters(query, SAGAS), NOW)
        except BadRequestError:
            continue


@pytest.mark.parametrize("filters", FILTERS, ids=lambda f: f.address())
def test_no_list_reads_the_whole_table(reader: Reader, filters: Filters) -> None:
    """With a million orders this is the difference between milliseconds and seconds."""
    asked: list[str] = []
    reader._connection.set_trace_callback(asked.append)
    older = reader.page(filters, NOW).older
    if older:
        reader.page(older, NOW)
    reader._connection.set_trace_callback(None)
    # FTS5's queries of its own tables are traced as comments.
    ours = [question for question in asked if not question.startswith("--")]
    plans = [plan for question in ours for *_, plan in reader.ask(f"EXPLAIN QUERY PLAN {question}")]
    assert plans
    by_index = ("INDEX", "USING INTEGER PRIMARY KEY")
    assert [plan for plan in plans if "orders" in plan and not any(how in plan for how in by_index)] == []
    # A temporary B-tree means that the whole list was read before sorting.
    assert [plan for plan in plans if "B-TREE" in plan] == []


@pytest.mark.parametrize("filters", FREQUENT, ids=lambda f: f.address())
def test_a_filter_looks_at_little_more_than_it_shows(many: Reader, filters: Filters) -> None:
    """Counted in SQLite VM steps, not in time; reading a whole index takes thousands."""
    steps = itertools.count()
    many._connection.set_progress_handler(lambda: next(steps) < 0, 1)
    found = many.page(filters, NOW).instances
    many._connection.set_progress_handler(None, 1)
    assert found
    # A search also reads the trigram index for each order.
    assert next(steps) < (2000 if filters.q else 1000)


def test_stuck_orders_are_counted_no_further_than_asked(many: Reader) -> None:
    everything = many.instances(None, 10_000, NOW)
    assert many.totals(NOW, 500).stuck == 500
    assert many.totals(NOW).stuck == sum(Flag.STUCK in order.flags for order in everything)
