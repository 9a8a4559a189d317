"""A database that refuses is distinguished from one that is away, whatever the server's language."""

from __future__ import annotations

import os
import resource
import socket
import threading
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import conninfo

from choregraphie import DatabaseRefused, DatabaseUnavailable, Settings
from choregraphie.storage import open_database
from choregraphie.storage.connect_errors import refuses_login
from scripts.nemesis.private_postgres import private_postgres
from services.stock import SERVICE as STOCK
from tests.support.pgbouncer import private_pgbouncer
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripts.nemesis.private_postgres import PrivatePostgres
    from tests.support.pgbouncer import PrivatePgBouncer

    LoginCheck = Callable[..., bool]


def opened(url: str) -> None:
    open_database(STOCK, Settings(database_url=url)).close()


def refused(url: str) -> str:
    with pytest.raises(DatabaseRefused) as caught:
        opened(url)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def away(url: str) -> None:
    with pytest.raises(DatabaseUnavailable):
        opened(url)


@contextmanager
def speaking(sqlstate: str, text: str) -> Iterator[str]:
    """A server that answers each connection with this error, in PostgreSQL's protocol."""
    fields = "".join(
        f"{name}{value}\0" for name, value in zip("SVCM", ("FATAL", "FATAL", sqlstate, text), strict=True)
    )
    body = fields.encode() + b"\0"
    answer = b"E" + (len(body) + 4).to_bytes(4, "big") + body
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with closing(connection):
                    connection.recv(8)
                    connection.sendall(b"N")
                    connection.recv(1000)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"postgresql://saga:hush@127.0.0.1:{listener.getsockname()[1]}/stock"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("sqlstate", "text"),
    [
        ("28P01", "authentification par mot de passe échouée pour l'utilisateur « saga »"),
        ("28000", "aucune entrée dans pg_hba.conf pour l'hôte « 127.0.0.1 »"),
        ("3D000", "la base de données « stock » n'existe pas"),
        ("42501", "droit refusé pour la base de données « stock »"),
        ("28000", 'ロール"saga"は存在しません'),
    ],
)
def test_a_refusal_is_recognised_by_its_sqlstate(sqlstate: str, text: str) -> None:
    with speaking(sqlstate, text) as url:
        said = refused(url)
    assert text in said
    assert "hush" not in said


@pytest.fixture
def more_than_1024_open_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    with ExitStack() as opened_files:
        opened_files.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        descriptor = 0
        while descriptor < 1024:
            descriptor = os.open(os.devnull, os.O_RDONLY)
            opened_files.callback(os.close, descriptor)
        yield


@pytest.mark.usefixtures("more_than_1024_open_files")
def test_a_refusal_is_recognised_by_a_program_with_many_open_files() -> None:
    with speaking("3D000", "la base de données « stock » n'existe pas") as url:
        refused(url)


@pytest.mark.parametrize(
    ("sqlstate", "text"),
    [
        ("57P03", 'the database system is starting up; password authentication failed for user "saga"'),
        ("53300", 'too many connections: role "saga" does not exist'),
        ("57P01", "arrêt des connexions suite à la demande de l'administrateur"),
    ],
)
def test_a_server_that_is_not_ready_is_away_whatever_its_message_says(sqlstate: str, text: str) -> None:
    with speaking(sqlstate, text) as url:
        away(url)


def test_a_real_server_refuses(postgres: PrivatePostgres) -> None:
    right = postgres.url("postgres")
    for wrong in (
        right.replace(postgres.password, "wrong"),
        right.replace(f":{postgres.password}", ""),
        right.replace("saga:", "nobody:"),
        postgres.url("no_such_database"),
        f"{right}?sslmode=require",
        f"{right}?sslmode=nonsense",
        f"{right}?require_auth=none",
        f"{right}?options=-cno_such_setting%3D1",
        f"{right}?options=-cmax_connections%3D1",
        f"{right}?options=-clock_timeout%3Dlong",
    ):
        refused(wrong)


def test_a_server_that_speaks_french_refuses(french_postgres: PrivatePostgres) -> None:
    right = french_postgres.url("postgres")
    assert "échouée" in refused(right.replace(french_postgres.password, "wrong"))
    assert "n'existe pas" in refused(french_postgres.url("no_such_database"))


@pytest.mark.parametrize("parameter", ["password", "sslpassword"])
def test_a_secret_parameter_is_not_shown(postgres: PrivatePostgres, parameter: str) -> None:
    said = refused(f"{postgres.url('no_such_database')}?{parameter}=hush")
    assert "hush" not in said


def test_a_port_where_nobody_listens_is_away(postgres: PrivatePostgres) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    away(postgres.url("postgres").replace(f":{postgres.port}/", f":{port}/"))
    away("postgresql://saga@no-such-host.invalid/stock")


def test_a_server_of_the_wrong_kind_is_away(postgres: PrivatePostgres) -> None:
    away(f"{postgres.url('postgres')}?target_session_attrs=standby")


def test_a_pooler_refuses(postgres: PrivatePostgres) -> None:
    with private_pgbouncer(postgres) as pooler:
        assert "SASL" in refused(pooler.url("postgres", password="wrong"))
        refused(pooler.url("postgres", user="nobody"))
        refused(pooler.url("no_such_database"))


def test_a_pooler_without_transactions_is_refused(postgres: PrivatePostgres) -> None:
    with private_pgbouncer(postgres, pool_mode="statement") as pooler:
        assert "transaction" in refused(pooler.url("postgres"))


def test_a_pooler_whose_server_is_away_is_away(postgres: PrivatePostgres) -> None:
    with private_pgbouncer(postgres, port_of_server="1") as pooler:
        away(pooler.url("postgres"))


@contextmanager
def login_checked(postgres: PrivatePostgres, **settings: str) -> Iterator[tuple[PrivatePgBouncer, LoginCheck]]:
    """A pooler, and a check that connects to a URL and returns whether its login is refused."""

    def login_is_refused(url: str, within_seconds: int = 60) -> bool:
        url = f"{url}?connect_timeout={within_seconds}"
        try:
            with psycopg.connect(url) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError as error:
            return refuses_login(error, conninfo.conninfo_to_dict(url))
        raise AssertionError(f"nothing is refused: {url}")

    with private_pgbouncer(postgres, **settings) as pooler:
        yield pooler, login_is_refused


@pytest.mark.parametrize("auth_type", ["scram-sha-256", "md5", "plain"])
def test_a_pooler_that_refuses_the_login_is_told_from_one_that_refuses_something_else(
    postgres: PrivatePostgres, auth_type: str
) -> None:
    with login_checked(postgres, auth_type=auth_type) as (pooler, login_is_refused):
        assert login_is_refused(pooler.url("postgres", password="wrong"))
        assert login_is_refused(pooler.url("postgres", user="nobody"))
        assert not login_is_refused(pooler.url("no_such_database"))
        pooler.change_password("neu-4711")
        until(lambda: not connects(pooler.url("postgres")), "the pooler has the new password")
        assert login_is_refused(pooler.url("postgres"))
        # The pooler accepts the worker's password; the server refuses the pooler's.
        assert not login_is_refused(pooler.url("another", password="neu-4711"))


@pytest.mark.parametrize("auth_type", ["scram-sha-256", "md5", "plain"])
def test_a_pooler_that_is_full_or_has_no_server_does_not_refuse_the_login(
    postgres: PrivatePostgres, auth_type: str
) -> None:
    with (
        login_checked(postgres, auth_type=auth_type, max_client_conn="1") as (pooler, login_is_refused),
        psycopg.connect(pooler.url("postgres")),
    ):
        assert not login_is_refused(pooler.url("postgres"))
    with login_checked(postgres, auth_type=auth_type, port_of_server="1") as (pooler, login_is_refused):
        # The pooler keeps the client waiting, whatever its patience is.
        assert not login_is_refused(pooler.url("postgres"), within_seconds=5)
        assert login_is_refused(pooler.url("postgres", password="wrong"))


def connects(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.usefixtures("postgres")  # marks the test as one that needs PostgreSQL; it kills a server of its own
def test_a_server_that_went_away_behind_its_pooler_is_away() -> None:
    with private_postgres() as server, private_pgbouncer(server, query_wait_timeout="3") as pooler:
        opened(pooler.url("postgres"))
        server.kill()
        with psycopg.connect(pooler.url("postgres")) as connection, pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        # From now on the pooler says at once that it has no server.
        away(pooler.url("postgres"))
