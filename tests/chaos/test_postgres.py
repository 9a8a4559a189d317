"""The private PostgreSQL keeps committed rows across kills and restarts."""

import psycopg
import pytest

from scripts.nemesis.private_postgres import private_postgres


def test_committed_rows_survive_a_kill_and_a_restart() -> None:
    with private_postgres() as server:
        server.create("books")
        with psycopg.connect(server.url("books"), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (n integer)")
            connection.execute("INSERT INTO kept VALUES (7)")
            server.kill()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT n FROM kept")
        server.start()
        with psycopg.connect(server.url("books")) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
        server.stop()
        server.start()
        with psycopg.connect(server.url("books")) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
