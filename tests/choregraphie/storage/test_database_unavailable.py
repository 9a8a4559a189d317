"""A database that cannot be written now: the worker waits, dead-letters nothing, and then goes on."""

from __future__ import annotations

import contextlib
import threading
import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import event, make_url
from structlog.testing import capture_logs

from choregraphie import Settings
from choregraphie.errors import DatabaseUnavailable
from choregraphie.pipeline import context as tools
from choregraphie.pipeline.executor import execute
from choregraphie.service.verdict import Done
from choregraphie.storage import engine
from choregraphie.storage.invocation import Invocation
from choregraphie.testing import open_harness
from scripts.nemesis.proxy import Mode, Proxy
from tests.support.event_builders import initiee
from tests.support.fake_session import until
from tests.support.running_pipeline import RunningPipeline, order, running_pipeline
from tests.support.sample_service import SAMPLE_SERVICE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from choregraphie.testing import ServiceHarness
    from scripts.nemesis.private_postgres import PrivatePostgres

    Trouble = Callable[[RunningPipeline], contextlib.AbstractContextManager[None]]

# More than fits into the file without another page.
MANY = 120


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.5)


@contextlib.contextmanager
def pragma(at_work: RunningPipeline, begin: str, end: str) -> Iterator[None]:
    """A pragma makes SQLite itself raise the error."""
    wanted = [begin]

    def ask(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA {wanted[0]}")

    event.listen(at_work.database.engine, "begin", ask)
    yield
    wanted[0] = end


def read_only_file(at_work: RunningPipeline) -> contextlib.AbstractContextManager[None]:
    return pragma(at_work, "query_only = ON", "query_only = OFF")


def full_disk(at_work: RunningPipeline) -> contextlib.AbstractContextManager[None]:
    """The file may not grow by a page."""
    return pragma(at_work, "max_page_count = 1", "max_page_count = 1000000")


@contextlib.contextmanager
def locked_file(at_work: RunningPipeline) -> Iterator[None]:
    raw = at_work.database.engine.raw_connection()
    try:
        raw.cursor().execute("BEGIN IMMEDIATE")
        yield
    finally:
        raw.cursor().execute("ROLLBACK")
        raw.close()


@contextlib.contextmanager
def operator(at_work: RunningPipeline, database: str = "") -> Iterator[psycopg.Connection[Any]]:
    url = at_work.database.engine.url.set(drivername="postgresql")
    shown = (url.set(database=database) if database else url).render_as_string(hide_password=False)
    with psycopg.connect(shown, autocommit=True) as connection:
        yield connection


@contextlib.contextmanager
def locked_tables(at_work: RunningPipeline) -> Iterator[None]:
    with operator(at_work) as connection, connection.transaction():
        connection.execute("LOCK TABLE inbox, outbox, journal IN ACCESS EXCLUSIVE MODE")
        yield


@contextlib.contextmanager
def read_only_server(at_work: RunningPipeline) -> Iterator[None]:
    """As after a failover to a standby: every session is closed, and new ones are read-only."""
    name = sql.Identifier(at_work.database.engine.url.database or "")
    with operator(at_work, "postgres") as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
        cut(connection, at_work)
        yield
        connection.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))
        cut(connection, at_work)


def cut(connection: psycopg.Connection[Any], at_work: RunningPipeline) -> None:
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    connection.execute(query, (at_work.database.engine.url.database,))


TROUBLES: dict[str, tuple[str, Trouble]] = {
    "a file locked by another": ("sqlite", locked_file),
    "a file that may only be read": ("sqlite", read_only_file),
    "a full disk": ("sqlite", full_disk),
    "tables locked by another": ("postgresql", locked_tables),
    "a server that may only be read": ("postgresql", read_only_server),
}


def url_of(kind: str, request: pytest.FixtureRequest) -> str:
    if kind == "sqlite":
        return f"sqlite:///{request.getfixturevalue('tmp_path')}/{{service}}.sqlite3"
    server: PrivatePostgres = request.getfixturevalue("postgres")
    name = f"trouble_{uuid.uuid4().hex[:12]}"
    server.create(name)
    return server.url(name)


@pytest.mark.parametrize(("kind", "trouble"), TROUBLES.values(), ids=TROUBLES)
async def test_no_delivery_is_retried_or_dead_lettered_and_all_are_handled_afterwards(
    kind: str, trouble: Trouble, request: pytest.FixtureRequest
) -> None:
    settings = Settings(database_url=url_of(kind, request), retry_delays=(1, 5))
    async with running_pipeline(settings) as at_work:
        await until(lambda: ("consume", ()) in at_work.session.actions)
        with capture_logs() as logs:
            with trouble(at_work):
                tags = [at_work.session.deliver(order(f"C-{number}")) for number in range(MANY)]
                await until(lambda: any(line["event"] == "database.unavailable" for line in logs))
                assert at_work.session.published == []
                assert at_work.session.acked == at_work.session.requeued == []
            await until(lambda: sorted(at_work.session.acked) == tags)
        # Some perhaps twice, with the same id: the worker did not know whether they were committed.
        said = {(message.routing_key, message.properties.message_id) for message in at_work.session.published}
        assert ([type_ for type_, _ in said], len(said)) == (["stock.reserve"] * MANY, MANY)
        assert not at_work.running.done()
        await at_work.stop()
    with open_harness(SAMPLE_SERVICE, settings) as harness:
        assert harness.inspect()["A"] == MANY


def test_a_commit_whose_reply_is_lost_takes_effect_once(postgres: PrivatePostgres) -> None:
    with proxied(postgres) as (harness, proxy):
        group = [invocation(harness)]
        with at_commit(harness, lambda: answer_lost(proxy, postgres, harness)), pytest.raises(DatabaseUnavailable):
            execute(harness.store, group, (1,), [])
        proxy.set(Mode.PASS)
        assert harness.inspect()["A"] == 1, "the server did commit"
        (result,) = execute(harness.store, group, (1,), [])
        assert (result.verdict, result.outbox_events) == (Done(), ())
        assert harness.inspect()["A"] == 1
        # The relay finds pending events at the start and twice a minute.
        assert [outbox_event.type for outbox_event in harness.store.pending(10)[0]] == ["stock.reserve"]


def test_a_commit_that_never_arrives_takes_effect_once(postgres: PrivatePostgres) -> None:
    with proxied(postgres) as (harness, proxy):
        group = [invocation(harness)]
        with at_commit(harness, lambda: refused(proxy)), pytest.raises(DatabaseUnavailable):
            execute(harness.store, group, (1,), [])
        proxy.set(Mode.PASS)
        assert harness.inspect()["A"] == 0, "the server did not commit"
        (result,) = execute(harness.store, group, (1,), [])
        assert [outbox_event.type for outbox_event in result.outbox_events] == ["stock.reserve"]
        assert harness.inspect()["A"] == 1


@contextlib.contextmanager
def proxied(postgres: PrivatePostgres) -> Iterator[tuple[ServiceHarness, Proxy]]:
    """A harness that reaches its database through a proxy, which can be cut."""
    name = f"commit_{uuid.uuid4().hex[:12]}"
    postgres.create(name)
    url = make_url(postgres.url(name))
    assert url.port is not None
    proxy = Proxy(url.port)
    try:
        through = url.set(port=proxy.port).render_as_string(hide_password=False)
        with open_harness(SAMPLE_SERVICE, Settings(database_url=through)) as harness:
            yield harness, proxy
    finally:
        proxy.close()


def invocation(harness: ServiceHarness) -> Invocation:
    read = harness.decoder.decode(
        harness.delivery(harness.enveloped(initiee(produit_id="A", quantite=1), id="the-order"))
    )
    assert isinstance(read, Invocation)
    return read


@contextlib.contextmanager
def at_commit(harness: ServiceHarness, do: Callable[[], None]) -> Iterator[None]:
    """Call `do` just before the harness commits."""
    event.listen(harness.database.engine, "commit", lambda _: do(), once=True)
    yield


def answer_lost(proxy: Proxy, postgres: PrivatePostgres, harness: ServiceHarness) -> None:
    """From now on no reply arrives; the connection is reset after the server has committed."""
    proxy.set(Mode.STALL_DOWN)
    database = harness.database.engine.url.database or ""

    def reset_after_commit() -> None:
        with psycopg.connect(postgres.url(database), autocommit=True) as connection:
            while not connection.execute("SELECT 1 FROM inbox").fetchall():
                pass
        refused(proxy)

    threading.Thread(target=reset_after_commit, daemon=True).start()


def refused(proxy: Proxy) -> None:
    proxy.set(Mode.REFUSE)
