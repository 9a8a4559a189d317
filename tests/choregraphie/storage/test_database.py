"""A service's database: one writer for a file, and a refusal in one line when it cannot be used."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from choregraphie import DatabaseRefused, DatabaseUnavailable, Settings
from choregraphie.storage import business_state, open_database
from choregraphie.storage.database import Conflict
from choregraphie.testing import ServiceHarness, open_harness
from services.application import APP
from services.commande import SERVICE as COMMANDE
from services.paiement import SERVICE as PAIEMENT
from services.stock import SERVICE as STOCK
from tests.support.event_builders import initiee
from tests.support.sample_service import SAMPLE_SERVICE


def at(url: str) -> Settings:
    return Settings(database_url=url, catalogue=APP.seed)


def refused(settings: Settings, service: Any = STOCK) -> str:
    with pytest.raises(DatabaseRefused) as caught:
        open_database(service, settings).close()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_database_is_created_with_its_folders_and_kept(tmp_path: Path) -> None:
    settings = at(f"sqlite:///{tmp_path}/a/b/{{service}}.sqlite3")
    with open_harness(STOCK, settings) as harness:
        harness.hear(initiee(produit_id="PROD-123"))
    for _ in range(2):
        with open_harness(STOCK, settings) as harness:
            assert harness.inspect()["produits"]["PROD-123"]["disponible"] == 98
            assert len(harness.store.pending(10)[0]) == 1
    assert (tmp_path / "a/b/stock.sqlite3").exists()


def test_a_commit_is_on_the_disk_before_anything_is_published(settings: Settings) -> None:
    database = open_database(STOCK, settings)
    with database.begin() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    database.close()


def test_a_second_worker_on_the_same_file_is_refused_until_the_first_has_closed_it(settings: Settings) -> None:
    first = open_database(STOCK, settings)
    assert "another worker has this file" in refused(settings)
    first.close()
    open_database(STOCK, settings).close()


def test_a_refused_database_unlocks_its_file(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "stock.sqlite3").write_bytes(b"no database at all, " * 500)
    refused(settings)
    (tmp_path / "stock.sqlite3").unlink()
    open_database(STOCK, settings).close()


def test_the_file_of_another_service_is_refused(tmp_path: Path) -> None:
    shared = at(f"sqlite:///{tmp_path}/shared.sqlite3")
    open_database(STOCK, shared).close()
    assert "database of stock, not of paiement" in refused(shared, PAIEMENT)


@pytest.mark.parametrize("column", ["version", "runtime_version"])
def test_a_newer_database_is_refused(settings: Settings, tmp_path: Path, column: str) -> None:
    open_database(STOCK, settings).close()
    with sqlite3.connect(tmp_path / "stock.sqlite3") as connection:
        connection.execute(f"UPDATE service SET {column} = 99")
    connection.close()
    assert "version 99" in refused(settings)


@pytest.mark.parametrize("place", ["file/x.sqlite3", "folder"])
def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    assert str(tmp_path) in refused(at(f"sqlite:///{tmp_path}/{place}"))


@pytest.mark.parametrize(
    "url",
    ["nonsense", "", "sqlite", "oracle+nothing://x", "mysql://u:hush@h/d", "://", "postgresql://u:hush@h:abc/x"],
)
def test_a_url_of_an_unknown_kind_is_refused_without_showing_its_password(url: str) -> None:
    said = refused(at(url))
    assert "SAGA_DATABASE_URL" in said
    assert "hush" not in said


def test_a_damaged_database_is_refused(settings: Settings, tmp_path: Path) -> None:
    with open_harness(STOCK, settings) as harness:
        harness.hear(*(initiee(f"C-{n}") for n in range(100)))
    file = tmp_path / "stock.sqlite3"
    content = bytearray(file.read_bytes())
    content[8192:20_000] = b"\xa5" * (20_000 - 8192)
    file.write_bytes(content)
    refused(settings)


OPEN_WITHOUT_ROOM = """
import resource, sys
from choregraphie import Settings
from choregraphie.storage.database import open_database
from services.stock import SERVICE
resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))
try:
    open_database(SERVICE, Settings(database_url=sys.argv[1]))
except Exception as error:
    print(type(error).__name__)
"""


def test_a_full_disk_is_waited_for_also_by_a_worker_that_starts(settings: Settings) -> None:
    """Then SQLite cannot make the file that connections share; a limit of sizes stands for the disk."""
    open_database(STOCK, settings).close()
    command = [sys.executable, "-c", OPEN_WITHOUT_ROOM, settings.database_url]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.split() == ["DatabaseUnavailable"], ran.stderr


def test_after_a_commit_that_a_constraint_refuses_the_next_transaction_begins(settings: Settings) -> None:
    with closing(open_database(STOCK, settings)) as database:
        with database.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE boites (nom TEXT PRIMARY KEY)")
            connection.exec_driver_sql(
                "CREATE TABLE lots (boite TEXT REFERENCES boites (nom) DEFERRABLE INITIALLY DEFERRED)"
            )
        with pytest.raises(Conflict), database.begin() as connection:
            connection.exec_driver_sql("INSERT INTO lots VALUES ('nulle part')")
        with database.begin() as connection:
            assert connection.exec_driver_sql("SELECT * FROM lots").all() == []


def test_the_state_can_be_read_beside_a_running_worker(settings: Settings) -> None:
    with open_harness(STOCK, settings) as harness:
        harness.hear(initiee())
        assert business_state(STOCK, settings) == harness.inspect()


def test_reading_a_missing_database_creates_nothing(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(DatabaseRefused, match="no such database"):
        business_state(STOCK, settings)
    assert list(tmp_path.iterdir()) == []


def test_reading_a_file_whose_name_is_too_long_is_refused_in_one_line() -> None:
    with pytest.raises(DatabaseRefused, match=r"File name too long$"):
        business_state(STOCK, at(f"sqlite:///{'a' * 300}"))


def test_reading_another_services_database_is_refused_in_one_line(tmp_path: Path) -> None:
    shared = at(f"sqlite:///{tmp_path}/shared.sqlite3")
    open_database(SAMPLE_SERVICE, shared).close()
    with pytest.raises(DatabaseRefused) as caught:
        business_state(COMMANDE, shared)
    assert "\n" not in str(caught.value)


def test_a_database_in_memory_works() -> None:
    with open_harness(STOCK, at("sqlite://")) as harness:
        harness.hear(initiee())
        assert harness.said == ["stock.reserve"]


def test_a_table_removed_under_a_worker_is_no_fault_of_a_message(harness: ServiceHarness) -> None:
    """Else every message would be retried in vain and dead-lettered."""
    with harness.database.begin() as connection:
        connection.exec_driver_sql("DROP TABLE compteurs")
    with pytest.raises(DatabaseUnavailable):
        harness.hear(initiee(produit_id="A"), tolerate=True)
