"""Search finds any part of a key or a searched data field, or a day, on every screen and in every command."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.anomaly import Thresholds
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.console.snapshot import SnapshotReader
from saga_monitor.projection import search
from saga_monitor.projection.search import InstanceFilter
from saga_monitor.stream.maintenance import prune
from saga_monitor.web.filters import Filters
from saga_monitor.web.reader import Reader
from tests.saga_monitor.conftest import Monitor
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, PLACED, START, Line, Stream, undone
from tests.support.order_saga import COMMAND, SAGAS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = START + dt.timedelta(hours=1)
YESTERDAY = START - dt.timedelta(days=1)


def placed(client: str, produit: str) -> list[Line]:
    return [Line("commande.initiee", data={"client_id": client, "produit_id": produit})]


def publish_all(stream: Stream) -> None:
    stream.publish("CMD-STOCK-1", placed("CLIENT-ANNE", "PROD-777"))
    stream.publish("cmd-stock-2", placed("Élodie Müller", "PROD-778"), YESTERDAY)
    refused = Line("stock.reservation_echouee", "commande.initiee", 100, {"raison": "Rupture à Orléans: 100 %_"})
    stream.publish("X-3", [*PLACED, refused, *undone("stock.reservation_echouee")])
    letter = Line("notification.envoyee", "commande.creee", 400, {"destinataire": "dest@example.org"})
    stream.publish("X-4", [*CONFIRMED[:-1], letter])
    stream.publish("日本-2024-11-20-№5", HELD, START - dt.timedelta(days=3))
    stream.publish("a%b_c", PLACED)
    stream.publish("STRASSE", placed("straße", "ﬁn"))


@pytest.fixture(params=["trigrams", "without FTS5"])
def known(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Monitor]:
    if request.param == "without FTS5":
        monkeypatch.setattr(search, "_TRIGRAMS", "CREATE VIRTUAL TABLE search USING no_such_module(text)")
    monitor, stream = Monitor(tmp_path / "monitor.sqlite3"), Stream()
    assert monitor.store.acquire()
    publish_all(stream)
    asyncio.run(monitor.read(stream))
    yield monitor
    monitor.close()


def everywhere(known: Monitor, text: str) -> list[str]:
    """What the web page finds, after checking that console and commands find the same."""
    reader = Reader(known.path, 60.0, SAGAS)
    page = [order.key for order in reader.page(Filters(q=text), NOW).instances]
    reader.close()
    assert [order.key for order in known.queries.search(text, InstanceFilter(), 50, NOW)] == page
    snapshots = SnapshotReader(known.queries, search=text)
    assert [order.key for order in snapshots.snapshot(NOW).instances] == page
    return page


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cmd-st", {"CMD-STOCK-1", "cmd-stock-2"}),
        ("STOCK", {"CMD-STOCK-1", "cmd-stock-2"}),
        ("ock-1", {"CMD-STOCK-1"}),
        ("anne", {"CMD-STOCK-1"}),
        ("prod-77", {"CMD-STOCK-1", "cmd-stock-2"}),
        ("elodie", {"cmd-stock-2"}),
        ("ÉLODIE MULLER", {"cmd-stock-2"}),
        ("  müller ", {"cmd-stock-2"}),
        ("rupture a orleans", {"X-3"}),
        ("dest@", {"X-4"}),
        ("r-1", {"X-3", "X-4", "日本-2024-11-20-№5"}),
        ("%_", {"X-3"}),
        ("%b_", {"a%b_c"}),
        ("%", {"X-3", "a%b_c"}),
        ("_", {"X-3", "a%b_c"}),
        ("日本", {"日本-2024-11-20-№5"}),
        ("strasse", {"STRASSE"}),
        ("fin", {"STRASSE"}),
        ("2024-11-21", {"cmd-stock-2"}),
        ("yesterday", {"cmd-stock-2"}),
        ("Today", {"CMD-STOCK-1", "X-3", "X-4", "a%b_c", "STRASSE"}),
        ("2024-11-20", {"日本-2024-11-20-№5"}),
        ("2024-11-19", {"日本-2024-11-20-№5"}),
        ("2024-11-", {"日本-2024-11-20-№5"}),
        ("2024-02-30", set()),
        ('"', set()),
        ('cmd" OR "x', set()),
        ("*", set()),
        ("x-3\nrup", set()),
        ("CMD-STOCK-1 anne", set()),
        ("\x00", set()),
        ("\ud800", set()),
        ("é" * 200, set()),
    ],
)
def test_console_page_and_commands_find_the_same(known: Monitor, text: str, found: set[str]) -> None:
    assert set(everywhere(known, text)) == found


def test_the_last_to_begin_comes_first_and_a_filter_narrows(known: Monitor) -> None:
    assert everywhere(known, "x-") == ["X-4", "X-3"]
    found = known.queries.search("x-", InstanceFilter(State.COMPLETED), 50, NOW)
    assert [order.key for order in found] == ["X-4"]
    found = known.queries.search("11-20", InstanceFilter(flag=Flag.STUCK), 50, NOW)
    assert [order.key for order in found] == ["日本-2024-11-20-№5"]
    assert known.queries.search("11-20", InstanceFilter(flag=Flag.REPEATED_START), 50, NOW) == []


def test_a_forgotten_order_is_not_found(known: Monitor) -> None:
    prune(known.store, Thresholds(60, 6, command=COMMAND), NOW + dt.timedelta(days=31))
    assert everywhere(known, "x-") == []
    assert known.queries.ask("SELECT count(*) FROM search") == known.queries.ask("SELECT count(*) FROM instances")


def test_every_field_that_is_searched_is_one_that_some_event_has() -> None:
    fields = {name for event in CHOREOGRAPHY.events for name in event.model_fields}
    assert set(CHOREOGRAPHY.searched) <= fields


def test_list_searches(command: Any, stream: Stream) -> None:
    publish_all(stream)
    found = json.loads(command("list", "--search", "cmd-st", "--json")[1])
    assert [order["commande_id"] for order in found] == ["cmd-stock-2", "CMD-STOCK-1"]
    found = json.loads(command("list", "--search", "insuff", "--state", "COMPENSATED", "--json")[1])
    assert found == []
    found = json.loads(command("list", "--search", "orléans", "--state", "compensated", "--json")[1])
    assert [order["commande_id"] for order in found] == ["X-3"]
    found = json.loads(command("list", "--search", "anne", "--at", "2024-11-22T18:50", "--json")[1])
    assert [order["commande_id"] for order in found] == ["CMD-STOCK-1"]
    with pytest.raises(SystemExit) as end:
        command("list", "--search", " ")
    assert end.value.code == 2
