"""TLS to PostgreSQL: the server proves its name, or the connection is refused; clear text only by name."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from choregraphie import DatabaseRefused, Settings
from choregraphie.storage import connect_errors, open_database
from choregraphie.storage.engine import database_url, is_clear_text
from choregraphie.storage.postgresql import connection_parameters, postgresql_engine
from scripts.nemesis.private_postgres import private_postgres
from services.stock import SERVICE as STOCK
from tests.support.tls import BAD_SERVERS, Certificates, copy_for_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.nemesis.private_postgres import PrivatePostgres

FAR = "postgresql://saga:hush@db.example/stock"
WHY = {"elsewhere": "does not name this host", "expired": "has expired", "unknown": "no authority that we know"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.made(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True)
def _no_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal that stays the same for seconds is one; here one answer is enough."""
    monkeypatch.setattr(connect_errors, "_DOUBT_SECONDS", 0.0)
    for name in ("PGSSLMODE", "PGSSLROOTCERT", "PGHOST", "PGHOSTADDR", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)


def parameters(text: str) -> dict[str, str]:
    """With what the driver connects."""
    return connection_parameters(
        postgresql_engine(database_url("stock", Settings(database_url=text)), lambda: None)
    )


def refused(text: str) -> str:
    with pytest.raises(DatabaseRefused) as caught:
        open_database(STOCK, Settings(database_url=text))
    said = str(caught.value)
    assert "hush" not in said
    assert "\n" not in said
    return said


@pytest.mark.parametrize("mode", ["allow", "prefer", "require", "verify-ca"])
def test_beyond_this_machine_nothing_less_than_a_verified_name_is_used(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refused(f"{FAR}?sslmode={mode}")
    assert said.startswith(f"SAGA_DATABASE_URL: sslmode={mode} ")
    assert "verify-full" in said
    monkeypatch.setenv("PGSSLMODE", mode)
    assert refused(FAR).startswith(f"PGSSLMODE={mode} ")


@pytest.mark.parametrize("place", ["db.example", "10.0.0.7", "%2Fsockets,db.example", "localhost.example"])
def test_beyond_this_machine_the_name_is_verified_by_default(place: str) -> None:
    assert parameters(f"postgresql://saga@/stock?host={place}")["sslmode"] == "verify-full"


@pytest.mark.parametrize("query", ["hostaddr=10.0.0.7", "service=far"])
def test_a_host_that_another_parameter_names_is_not_taken_for_this_machine(query: str) -> None:
    assert parameters(f"postgresql://saga@localhost/stock?{query}")["sslmode"] == "verify-full"


def test_clear_text_beyond_this_machine_is_asked_for_by_name() -> None:
    assert parameters(f"{FAR}?sslmode=disable")["sslmode"] == "disable"
    assert is_clear_text(database_url("stock", Settings(database_url=f"{FAR}?sslmode=disable")))
    assert not is_clear_text(database_url("stock", Settings(database_url=FAR)))


@pytest.mark.parametrize("place", ["localhost", "127.0.0.1", "%5B::1%5D", "%2Fvar%2Frun%2Fpostgresql", ""])
def test_on_this_machine_libpq_decides(place: str) -> None:
    url = f"postgresql://saga@/stock?host={place}" if place else "postgresql:///stock"
    assert "sslmode" not in parameters(url.replace("%5B", "").replace("%5D", ""))


@pytest.mark.parametrize("name", ["sslrootcert", "sslcert", "sslkey"])
def test_a_file_that_is_not_there_is_named(name: str) -> None:
    assert refused(f"{FAR}?{name}=/nowhere/hush.pem") == f"SAGA_DATABASE_URL: {name}: there is no such file"
    assert refused(f"{FAR}?{name}={'a' * 300}") == f"SAGA_DATABASE_URL: {name}: File name too long"


@pytest.fixture(scope="module")
def files() -> Iterator[Path]:
    """The folder of the server's certificate. Its user cannot enter a folder of pytest."""
    with tempfile.TemporaryDirectory(prefix="choregraphie-tls-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def tls_postgres(certificates: Certificates, files: Path) -> Iterator[PrivatePostgres]:
    """A server with the right certificate."""
    copy_for_postgres(certificates, files)
    cert, key, authority = (str(files / use) for use in ("cert", "key", "ca"))
    with private_postgres(ssl="on", ssl_cert_file=cert, ssl_key_file=key, ssl_ca_file=authority) as one:
        yield one


@pytest.fixture
def bad(
    tls_postgres: PrivatePostgres, certificates: Certificates, files: Path, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The same server with a bad certificate."""
    _restart(tls_postgres, certificates, files, request.param)
    yield request.param
    _restart(tls_postgres, certificates, files, "server")


def _restart(tls_postgres: PrivatePostgres, certificates: Certificates, files: Path, name: str) -> None:
    tls_postgres.stop()
    copy_for_postgres(certificates, files, name)
    tls_postgres.start()


def verified(running: PrivatePostgres, certificates: Certificates, own: str = "") -> str:
    """Its URL by name, with the authority and the certificate `own`."""
    query = f"?sslmode=verify-full&sslrootcert={certificates.path('ca.pem')}"
    if own:
        query += f"&sslcert={certificates.path(f'{own}.pem')}&sslkey={certificates.path(f'{own}.key')}"
    return running.url("postgres").replace("127.0.0.1", "localhost") + query


@pytest.mark.parametrize("bad", BAD_SERVERS, indirect=True)
def test_a_server_that_is_not_who_it_should_be_is_refused(
    tls_postgres: PrivatePostgres, certificates: Certificates, bad: str
) -> None:
    said = refused(verified(tls_postgres, certificates))
    assert said.startswith("postgresql+psycopg://saga:***@localhost")
    assert WHY[bad] in said


def test_a_server_without_tls_is_refused(postgres: PrivatePostgres, certificates: Certificates) -> None:
    assert "it offers no TLS" in refused(verified(postgres, certificates))


@pytest.mark.parametrize("own", ["", "client"])
def test_a_server_that_proves_its_name_is_used(
    tls_postgres: PrivatePostgres, certificates: Certificates, own: str
) -> None:
    database = open_database(STOCK, Settings(database_url=verified(tls_postgres, certificates, own)))
    with database.begin() as connection:
        query = "SELECT ssl, client_dn IS NOT NULL FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert connection.exec_driver_sql(query).one() == (True, bool(own))
    database.close()


def test_a_server_that_refuses_our_certificate_is_named(
    tls_postgres: PrivatePostgres, certificates: Certificates
) -> None:
    said = refused(verified(tls_postgres, certificates, "stranger"))
    assert "it refuses our certificate; sslcert and sslkey" in said
