"""Two workers of a service on one PostgreSQL: who loses a race begins again and sees what the other wrote."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import select

from choregraphie import Settings
from choregraphie.pipeline.executor import execute
from choregraphie.service.verdict import Done, RetryAfter
from choregraphie.storage import inbox
from choregraphie.storage.database import Conflict, Database
from choregraphie.storage.invocation import Invocation
from choregraphie.storage.journal import JOURNAL
from choregraphie.testing import open_harness
from tests.support.event_builders import annulee, initiee
from tests.support.sample_service import SAMPLE_SERVICE
from tests.support.statements import watching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from choregraphie.testing import ServiceHarness
    from scripts.nemesis.private_postgres import PrivatePostgres


@pytest.fixture
def url(postgres: PrivatePostgres) -> str:
    name = f"conflicts_{uuid.uuid4().hex[:12]}"
    postgres.create(name)
    return postgres.url(name)


@pytest.fixture
def pair(url: str) -> Iterator[tuple[ServiceHarness, ServiceHarness]]:
    settings = Settings(database_url=url)
    with open_harness(SAMPLE_SERVICE, settings) as one, open_harness(SAMPLE_SERVICE, settings) as other:
        yield one, other


@pytest.fixture
def conflicts(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The SQLSTATE of each transaction that lost against another."""
    lost: list[str | None] = []
    begin = Database.begin

    @contextlib.contextmanager
    def noting(self: Database, **how: Any) -> Iterator[Any]:
        try:
            with begin(self, **how) as connection:
                yield connection
        except Conflict as conflict:
            cause = conflict.__cause__
            lost.append(getattr(getattr(cause, "orig", cause), "sqlstate", None))
            raise

    monkeypatch.setattr(Database, "begin", noting)
    return lost


def invocation(harness: ServiceHarness, heard: Any) -> Invocation:
    read = harness.decoder.decode(harness.delivery(heard))
    assert isinstance(read, Invocation)
    return read


def order(harness: ServiceHarness, commande_id: str, produit_id: str = "A") -> Invocation:
    return invocation(
        harness, harness.enveloped(initiee(commande_id, produit_id=produit_id, quantite=1), id=f"id-{commande_id}")
    )


@contextlib.contextmanager
def before(harness: ServiceHarness, statement: str, do: Callable[[], object]) -> Iterator[None]:
    """Call `do` once, just before the harness sends its first statement that begins with `statement`."""
    done = False

    def look(sent: str) -> None:
        nonlocal done
        if not done and sent.startswith(statement):
            done = True
            do()

    with watching(harness.database, look):
        yield
    assert done, f"nothing began with {statement!r}"


@pytest.mark.parametrize(
    ("kind", "statement", "lost"),
    [("an order", "SELECT compteurs", []), ("a cancellation", "INSERT INTO journal", ["23505"])],
)
def test_a_message_handled_by_two_workers_at_once_has_one_effect(
    pair: tuple[ServiceHarness, ServiceHarness],
    conflicts: list[str | None],
    kind: str,
    statement: str,
    lost: list[str | None],
) -> None:
    one, other = pair
    group = [order(one, "C") if kind == "an order" else invocation(one, annulee("C"))]
    with before(one, statement, lambda: other.store.commit(group)):
        (result,) = execute(one.store, group, (1,), [])
    assert (result.verdict, result.outbox_events, conflicts) == (Done(), (), lost)
    assert one.inspect()["A"] == (kind == "an order")
    assert [outbox_event.key for outbox_event in one.store.pending(10)[0]] == ["C"]


def test_an_order_and_its_cancellation_in_two_workers_at_once_hold_nothing(
    pair: tuple[ServiceHarness, ServiceHarness], conflicts: list[str | None]
) -> None:
    """Both find no journal entry at first. The second, repeated, finds the other's tombstone."""
    one, other = pair
    cancelled = [invocation(other, annulee("C"))]
    with before(one, "SELECT compteurs", lambda: other.store.commit(cancelled)):
        (result,) = execute(one.store, [order(one, "C")], (1,), [])
    assert (result.verdict, result.outbox_events, conflicts) == (Done(), (), ["23505"])
    assert one.inspect()["A"] == 0
    with one.database.begin() as connection:
        states = connection.scalars(select(JOURNAL.c.state).where(JOURNAL.c.action == "compter"))
        assert list(states) == ["tombstone"]


def test_a_serialization_failure_is_retried(
    url: str, postgres: PrivatePostgres, conflicts: list[str | None]
) -> None:
    """The server's transactions are serializable by default."""
    name = url.rpartition("/")[2]
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as operator:
        operator.execute(f'ALTER DATABASE "{name}" SET default_transaction_isolation = serializable')
    with (
        open_harness(SAMPLE_SERVICE, Settings(database_url=url)) as one,
        open_harness(SAMPLE_SERVICE, Settings(database_url=url)) as other,
    ):
        mine, others = [order(one, "C-1")], [order(other, "C-2")]
        with before(one, "SELECT compteurs", lambda: other.store.commit(others)):
            (result,) = execute(one.store, mine, (1,), [])
        assert (result.verdict, conflicts) == (Done(), ["40001"])
        assert [outbox_event.type for outbox_event in result.outbox_events] == ["stock.reserve"]
        assert one.inspect()["A"] == 2


def test_a_deadlock_is_retried(url: str, postgres: PrivatePostgres, conflicts: list[str | None]) -> None:
    """Workers lock in key order, so they never deadlock with each other; an operator's session may."""
    name = url.rpartition("/")[2]
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as operator:
        operator.execute(f"ALTER DATABASE \"{name}\" SET deadlock_timeout = '4s'")
    with (
        open_harness(SAMPLE_SERVICE, Settings(database_url=url)) as harness,
        psycopg.connect(postgres.url(name)) as operator,
        ThreadPoolExecutor(1) as thread,
    ):
        # The session that waits this long first detects the deadlock, and is the one that fails.
        operator.execute("SET deadlock_timeout = '60s'")
        operator.execute("UPDATE compteurs SET valeur = valeur + 10 WHERE nom = 'B'")
        group = [order(harness, "C-1", "A"), order(harness, "C-2", "B")]
        doing = thread.submit(execute, harness.store, group, (1,), [])
        until_somebody_waits(postgres.url(name))
        operator.execute("UPDATE compteurs SET valeur = valeur + 10 WHERE nom = 'A'")
        operator.commit()
        assert [result.verdict for result in doing.result(90)] == [Done(), Done()]
        # Once or more: the retry may lock A again before the operator's session has been woken.
        assert set(conflicts) == {"40P01"}
        assert harness.inspect() == {"A": 11, "B": 11}


def until_somebody_waits(url: str) -> None:
    deadline = time.monotonic() + 90
    with psycopg.connect(url, autocommit=True) as connection:
        while not connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchall():
            assert time.monotonic() < deadline, "nobody waits for a lock"
            time.sleep(0.01)


def test_many_orders_on_one_row_in_two_workers_are_all_counted(
    pair: tuple[ServiceHarness, ServiceHarness], conflicts: list[str | None]
) -> None:
    """Some of them are delivered to both."""
    together = threading.Barrier(2)
    orders = [order(pair[0], f"C-{number}") for number in range(40)]

    def deal(harness: ServiceHarness, mine: list[Invocation]) -> list[Any]:
        together.wait(60)
        return [execute(harness.store, [one], (1,), [])[0].verdict for one in mine]

    with ThreadPoolExecutor(2) as threads:
        dealt = list(threads.map(deal, pair, (orders[:25], orders[15:])))
    assert {*dealt[0], *dealt[1]} == {Done()}
    assert pair[0].inspect()["A"] == len(pair[0].store.pending(100)[0]) == 40
    assert set(conflicts) <= {"23505"}


def test_a_transaction_that_always_loses_is_retried_later(
    pair: tuple[ServiceHarness, ServiceHarness], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = pair
    record = inbox.record

    def slower(connection: Any, receipts: Any, now: Any) -> None:
        if receipts:
            raise Conflict("somebody was faster")
        record(connection, receipts, now)

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "record", slower)
        (result,) = execute(one.store, [order(one, "C")], (1,), [])
    assert isinstance(result.verdict, RetryAfter)
    assert one.inspect()["A"] == 0
