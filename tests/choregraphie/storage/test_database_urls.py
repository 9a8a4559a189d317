"""What a database URL asks for is used, or refused in one line that names it."""

from __future__ import annotations

import sqlite3
import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from choregraphie import DatabaseRefused, Settings
from choregraphie.storage import business_state, open_database
from choregraphie.storage.database import Database
from choregraphie.testing import open_harness
from services.application import APP
from services.commande import SERVICE as COMMANDE
from services.stock import SERVICE as STOCK
from tests.support.event_builders import initiee

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.nemesis.private_postgres import PrivatePostgres


@pytest.fixture
def url(postgres: PrivatePostgres) -> str:
    name = f"urls_{uuid.uuid4().hex[:12]}"
    postgres.create(name)
    return postgres.url(name)


def refused(url: str) -> str:
    with pytest.raises(DatabaseRefused) as caught:
        open_database(STOCK, Settings(database_url=url)).close()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def asked(database: Database, question: str) -> Any:
    with database.begin() as connection:
        return connection.exec_driver_sql(question).scalar()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hush%00@127.0.0.1:1/db",
        "postgresql://u%0A:hush@127.0.0.1:1/db",
        "postgresql://u:hush@127.0.0.1:1/db%00",
        "sqlite:///var/x\x00y.sqlite3",
    ],
)
def test_a_control_character_is_refused(url: str) -> None:
    # libpq ends a string at a NUL, and would connect to another host than the one that is named.
    said = refused(url)
    assert "control character" in said
    assert "hush" not in said


@pytest.mark.parametrize("written", ["{service}", "%7Bservice%7D"])
def test_a_schema_for_each_service_in_one_database(url: str, written: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA stock")
        connection.execute("CREATE SCHEMA commande")
    settings = APP.with_seed(Settings(database_url=f"{url}?options=-csearch_path%3D{written}"))
    for service in (STOCK, COMMANDE):
        with open_harness(service, settings) as harness:
            harness.hear(initiee(produit_id="PROD-123", quantite=2))
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT schemaname, count(*) FROM pg_tables"
            " WHERE tablename IN ('outbox', 'service') GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert found == [("commande", 2), ("stock", 2)]
    assert business_state(STOCK, settings)["produits"]["PROD-123"]["disponible"] == 98


@pytest.mark.parametrize("path", ["stock", "stock,public", '"Stock"'])
def test_a_schema_that_is_missing_is_refused(url: str, path: str) -> None:
    assert "has no schema" in refused(f"{url}?options=-csearch_path%3D{path.replace(',', '%2C')}")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'outbox'").fetchone() == (0,)


@pytest.mark.parametrize(
    ("options", "setting", "value"),
    [
        ("-c statement_timeout=7s", "statement_timeout", "7s"),
        ("--statement-timeout=7s", "statement_timeout", "7s"),
        ("-cwork_mem=8MB -c statement_timeout=7s", "work_mem", "8MB"),
        (r"-c TimeZone=Europe/Paris", "timezone", "Europe/Paris"),
        (r"-c DateStyle=ISO,\ DMY", "DateStyle", "ISO, DMY"),
        ("-c work_mem=8MB", "lock_timeout", "5s"),
        ("-c work_mem=8MB", "statement_timeout", "30s"),
    ],
)
def test_options_are_used_together_with_our_own(url: str, options: str, setting: str, value: str) -> None:
    encoded = options.replace("=", "%3D").replace(" ", "%20").replace("\\", "%5C").replace(",", "%2C")
    database = open_database(STOCK, Settings(database_url=f"{url}?options={encoded}"))
    assert asked(database, f"SELECT current_setting('{setting}')") == value
    database.close()


def test_other_parameters_override_our_own(url: str) -> None:
    parameters = "application_name=chez%20nous&connect_timeout=17&keepalives_idle=77&sslmode=allow"
    database = open_database(STOCK, Settings(database_url=f"{url}?{parameters}"))
    with database.begin() as connection:
        driver: Any = connection.connection.driver_connection
        given = driver.info.get_parameters()
    assert given["application_name"] == "chez nous"
    assert (given["connect_timeout"], given["keepalives_idle"], given["keepalives_count"]) == ("17", "77", "3")
    assert given["sslmode"] == "allow"
    assert asked(database, "SELECT current_setting('application_name')") == "chez nous"
    database.close()


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("pool_size=5", "pool_size"),
        ("prepare_threshold=0", "prepare_threshold"),
        ("autocommit=true", "autocommit"),
        ("sslmod=require", "sslmod"),
        ("sslmode=require&sslmode=disable", "sslmode"),
        ("sslmode=", "sslmode"),
        ("sslmode", "sslmode"),
        ("connect_timeout=soon", "connect_timeout"),
        ("keepalives=x", "keepalives"),
        ("client_encoding=LATIN1", "client_encoding"),
        ("options=-B%20100", "options"),
        ("options=search_path%3Dstock", "options"),
    ],
)
def test_an_impossible_parameter_of_postgresql_is_refused_by_name(query: str, named: str) -> None:
    said = refused(f"postgresql://saga:hush@127.0.0.1/stock?{query}")
    assert said.startswith("SAGA_DATABASE_URL")
    assert named in said
    assert "hush" not in said


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("sqlite:////tmp/x.sqlite3?mode=ro", "mode"),
        ("sqlite:////tmp/x.sqlite3?uri=true", "uri"),
        ("sqlite:////tmp/x.sqlite3?cache=shared&timeout=3", "cache"),
        ("sqlite:////tmp/x.sqlite3?timeout=soon", "timeout"),
        ("sqlite:////tmp/x.sqlite3?timeout", "timeout"),
        ("sqlite:///file:x.sqlite3", "file:"),
        ("sqlite://var/x.sqlite3", "host"),
    ],
)
def test_an_impossible_parameter_of_sqlite_is_refused_by_name(url: str, named: str) -> None:
    said = refused(url)
    assert said.startswith("SAGA_DATABASE_URL")
    assert named in said


def test_the_timeout_of_sqlite_is_used(tmp_path: Path) -> None:
    database = open_database(
        STOCK, Settings(database_url=f"sqlite:///{tmp_path}/{{service}}.sqlite3?timeout=0.25")
    )
    assert asked(database, "PRAGMA busy_timeout") == 250
    database.close()


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_a_sqlite_file_of_any_encoding_works(tmp_path: Path, encoding: str) -> None:
    with sqlite3.connect(tmp_path / "stock.sqlite3") as connection:
        connection.execute(f"PRAGMA encoding = '{encoding}'")
        connection.execute("CREATE TABLE before (x TEXT)")
    connection.close()
    settings = Settings(database_url=f"sqlite:///{tmp_path}/{{service}}.sqlite3")
    for _ in range(2):
        with open_harness(STOCK, settings) as harness:
            harness.hear(initiee(f"commande-é-{encoding}", produit_id="PROD-123", client_id="Zoë 顾客 🛒"))
            assert harness.database.engine.dialect.name == "sqlite"
            assert asked(harness.database, "PRAGMA encoding") == encoding
            assert asked(harness.database, "SELECT count(*) FROM outbox") == 1


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "WIN1252", "EUC_JP"])
def test_a_database_that_cannot_hold_every_event_is_refused(postgres: PrivatePostgres, encoding: str) -> None:
    name = f"encoding_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0".encode())
    said = refused(postgres.url(name))
    assert encoding in said
    assert "UTF8" in said
    with pytest.raises(DatabaseRefused, match="UTF8"):
        business_state(STOCK, Settings(database_url=postgres.url(name)))
