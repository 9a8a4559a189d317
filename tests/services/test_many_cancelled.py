"""What asks which orders were cancelled reads them page by page: its memory does not grow with them."""

from __future__ import annotations

import datetime as dt
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie import UserError
from choregraphie.dead_letters.effect import Effect
from choregraphie.dead_letters.prediction import Predictor
from choregraphie.dead_letters.settlement import Answer, plan
from choregraphie.messaging import ContentHeader
from choregraphie.storage.cancelled import open_cancelled
from choregraphie.testing import open_harness
from contracts.choreography import CHOREOGRAPHY
from services.__main__ import main
from services.application import APP
from services.commande import SERVICE as COMMANDE
from services.settings import OrderSettings
from services.stock import SERVICE as STOCK
from tests.support.event_builders import initiee

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from choregraphie import Settings

MANY = 30_000
# As a list, so many instances take more than twice as much.
MOST_BYTES = 2_500_000
CANCEL_MANY = """
    INSERT INTO commandes (commande_id, etat)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {many})
    SELECT 'CMD-' || n, 'annulee' FROM numbers
"""


@pytest.fixture
def many_cancelled(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The first, the last and many between; stock still holds goods for the last."""
    url = f"sqlite:///{tmp_path}/{{service}}.sqlite3"
    monkeypatch.setenv("SAGA_DATABASE_URL", url)
    settings = APP.with_seed(OrderSettings(database_url=url))
    with open_harness(COMMANDE, settings) as harness, harness.database.begin() as connection:
        connection.exec_driver_sql(CANCEL_MANY.format(many=MANY))
    for service in APP.own.values():
        with open_harness(service, settings) as harness:
            if service is STOCK:
                harness.hear(initiee(f"CMD-{MANY}"), initiee("CMD-UNKNOWN"))
    tracemalloc.start()
    yield settings
    tracemalloc.stop()


def peak_bytes() -> int:
    return tracemalloc.get_traced_memory()[1]


def test_journal_open(many_cancelled: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    tracemalloc.reset_peak()
    assert main(["journal", "--open"]) == 1
    assert peak_bytes() < MOST_BYTES
    shown = capsys.readouterr().out
    assert f"CMD-{MANY}" in shown
    assert "CMD-UNKNOWN" not in shown


@pytest.mark.parametrize(
    ("key", "undone", "why"), [(f"CMD-{MANY}", False, "has cancelled"), ("CMD-B", True, "has not cancelled")]
)
def test_settle(many_cancelled: Settings, key: str, undone: bool, why: str) -> None:
    answer = Answer(CHOREOGRAPHY, key, "stock", undone, "done by hand", "alice", {})
    tracemalloc.reset_peak()
    with pytest.raises(UserError, match=f"commande {why} {key}"):
        plan(APP, many_cancelled, answer, dt.datetime(2026, 1, 2, tzinfo=dt.UTC))
    assert peak_bytes() < MOST_BYTES


@pytest.mark.parametrize(("key", "effect"), [("CMD-7", Effect.ENDED), ("CMD-OTHER", Effect.RUNS)])
def test_prediction(many_cancelled: Settings, key: str, effect: Effect) -> None:
    with open_harness(STOCK, many_cancelled) as harness:
        delivery = harness.delivery(harness.enveloped(initiee(key), id="another"))
    headers = {"x-saga-exchange": delivery.exchange, "x-saga-reason": "exhausted"}
    letter = delivery._replace(exchange="stock.dlx", header=ContentHeader(headers, delivery.properties))
    predictor = Predictor(APP, "stock", many_cancelled)
    tracemalloc.reset_peak()
    assert [found.effect for found in predictor.predict([letter])] == [effect]
    assert peak_bytes() < MOST_BYTES


def test_all_of_them_are_read_on_every_database(database_for: Callable[[str], str]) -> None:
    settings = APP.with_seed(OrderSettings(database_url=database_for("commande")))
    with open_harness(COMMANDE, settings) as harness, harness.database.begin() as connection:
        connection.exec_driver_sql(CANCEL_MANY.format(many=2_500))
    with open_cancelled(COMMANDE, settings) as cancelled:
        assert {one.key for one in cancelled} == {f"CMD-{number}" for number in range(1, 2_501)}
