"""PostgreSQL: the allowed URL parameters, the setup of connections, the begin of transactions.

No setting of a session is relied on, only those of a transaction: a pooler such as PgBouncer may refuse or ignore
the startup parameter `options`, and in its transaction mode every transaction may run on another server session.
"""

import os
import re
from collections.abc import Callable
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import pq, sql
from psycopg.types.array import ListBinaryDumper
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL

from choregraphie.errors import DatabaseRefused
from choregraphie.storage.engine import NewerUrl
from choregraphie.storage.postgresql_tls import tls_parameters

# The client notices after some 25 s that a server has gone without closing the connection, as with the broker.
_CONNECTION = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}
_TRANSACTION = {
    "statement_timeout": "30000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "60000",
}
# For statements that find their rows by keys alone. Of a new table the planner knows nothing: it would have an
# update read all of it, and the plan is kept, however much is stored later, until the table is analyzed.
_BY_KEY = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
# libpq checks these only when it connects, and its error looks the same as that for a server that is away.
_NUMBERS = {"keepalives", "port", *_CONNECTION}
# One switch of `options` as the server parses it: it ends at white space without a backslash before it.
_SWITCH = re.compile(r"(?:-c\s*|--)([A-Za-z_][\w.-]*)=((?:\\.|[^\\\s])*)(?:\s+|$)", re.DOTALL)


def check_parameters(url: URL) -> None:
    """Raises DatabaseRefused, which names the parameter, when the URL asks for something impossible."""
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    for name, value in url.query.items():
        if name not in known:
            raise DatabaseRefused(f"SAGA_DATABASE_URL: {name} is not a connection parameter of PostgreSQL")
        if not isinstance(value, str) and name != "host":
            raise DatabaseRefused(f"SAGA_DATABASE_URL: {name} is given twice")
        if name in _NUMBERS and not re.fullmatch(r"-?\d{1,9}", str(value)):
            raise DatabaseRefused(f"SAGA_DATABASE_URL: {name}: expected a number")
    if url.port is not None and not 0 < url.port < 65_536:
        raise DatabaseRefused("SAGA_DATABASE_URL: the port is not a number of a port")
    encoding = str(url.query.get("client_encoding", "UTF8"))
    if encoding.upper().replace("-", "") != "UTF8":
        raise DatabaseRefused("SAGA_DATABASE_URL: client_encoding: only UTF8 can hold every event")
    options_of(url)
    tls_parameters(url)


def secrets() -> set[str]:
    """The names of the secret connection parameters: those that libpq displays as stars."""
    return {option.keyword.decode() for option in pq.Conninfo.get_defaults() if option.dispchar == b"*"}


def options_of(url: URL) -> dict[str, str]:
    """The settings in the parameter `options`, by name. Raises DatabaseRefused for any other switch."""
    found = {}
    rest = str(url.query.get("options", "")).strip()
    while rest:
        switch = _SWITCH.match(rest)
        if switch is None:
            raise DatabaseRefused(f"SAGA_DATABASE_URL: options: expected -c name=value, found {rest[:50]}")
        found[switch[1].replace("-", "_").lower()] = re.sub(r"\\(.)", r"\1", switch[2])
        rest = rest[switch.end() :]
    return found


def schemas_of(url: URL) -> list[str]:
    """The schemas that the URL names by `search_path`, in order; empty without `search_path`."""
    names = [name.strip() for name in options_of(url).get("search_path", "").split(",")]
    return [name.strip('"') if name.startswith('"') else name.lower() for name in names if name.strip('"')]


def postgresql_engine(url: URL, newer_url: NewerUrl) -> Engine:
    """An engine whose connections and transactions are set up as `url` asks, with our limits where it has none.

    When a connection is refused, `newer_url` gives another URL, whose user and password are used from then on.
    """
    engine = sa.create_engine(
        url.difference_update_query(["options"]),
        pool_size=2,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={**_default_parameters(url), "client_encoding": "UTF8", "autocommit": True},
    )
    openings = {
        by_key: _begin_query({**_TRANSACTION, **(_BY_KEY if by_key else {}), **options_of(url)})
        for by_key in (False, True)
    }
    event.listen(engine, "do_connect", _connect_listener(engine, newer_url))
    event.listen(engine, "begin", lambda connection: _begin(connection, openings[_is_by_key(connection)]))
    return engine


def _is_by_key(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("by_key"))


def connection_parameters(engine: Engine) -> dict[str, Any]:
    """The parameters with which `engine` connects now."""
    _, given = engine.dialect.create_connect_args(engine.url)
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    return {name: value for name, value in {**given, **_default_parameters(engine.url)}.items() if name in known}


def _connect_listener(engine: Engine, newer_url: NewerUrl) -> Callable[..., object]:
    def connect(dialect: Any, _record: object, args: Any, parameters: dict[str, Any]) -> object:
        try:
            return _connect(args, parameters)
        except psycopg.OperationalError:
            url = newer_url()
            if url is None:
                raise
            engine.url = url.difference_update_query(["options"])
            _, given = dialect.create_connect_args(engine.url)
            parameters.update({name: given[name] for name in ("user", "password") if name in given})
            return _connect(args, parameters)

    return connect


def _default_parameters(url: URL) -> dict[str, str]:
    """Our time limits, as far as neither the URL nor libpq's environment variables set them, and our TLS."""
    variables = {option.keyword.decode(): option.envvar for option in pq.Conninfo.get_defaults()}
    asked = {name for name, variable in variables.items() if variable and variable.decode() in os.environ}
    ours = {name: value for name, value in _CONNECTION.items() if name not in asked | url.query.keys()}
    return {**ours, **tls_parameters(url)}


def _connect(args: Any, parameters: Any) -> "psycopg.Connection[Any]":
    connection = psycopg.connect(*args, **parameters)
    connection.adapters.register_dumper(list, ListBinaryDumper)  # `bulk.py` sends arrays; as texts they cost twice
    try:
        _check_session(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_session(connection: "psycopg.Connection[Any]") -> None:
    cursor = connection.execute("SELECT pg_backend_pid(), getdatabaseencoding()::text", prepare=False)
    ((backend, encoding),) = cursor.fetchall()
    if encoding != "UTF8":
        raise DatabaseRefused(
            f"the database {connection.info.dbname} has the encoding {encoding}, which cannot hold every event:"
            " create it anew with ENCODING 'UTF8' TEMPLATE template0"
        )
    # A pooler reports a process id of its own. Behind it a transaction may run on another session than the one in
    # which a statement was prepared, so none are prepared. Without a pooler, prepared statements save a quarter of
    # the time of a group.
    if backend != connection.info.backend_pid:
        connection.prepare_threshold = None


def _begin_query(settings: dict[str, str]) -> sql.Composed:
    """BEGIN and the transaction's settings as one query, so that the settings cost no round trip."""
    calls = [sql.SQL("set_config({}, {}, true)").format(*pair) for pair in settings.items()]
    return sql.SQL("BEGIN; SELECT {}").format(sql.SQL(", ").join(calls))


def _begin(connection: Connection, opening: sql.Composed) -> None:
    # The connection is in autocommit mode, so the driver sends no BEGIN itself.
    cursor: Any = connection.connection.cursor()
    cursor.execute(opening, prepare=False)
    cursor.close()
