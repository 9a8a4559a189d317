"""Why PostgreSQL could not be connected to: it refuses, or it is away. Decided by SQLSTATE, never by words.

A server refuses with an SQLSTATE, and with words in a language of its own. libpq keeps the words and drops the
SQLSTATE of a failed connection (psycopg issue 1188). So the connection is tried once more with libpq's trace of
the protocol, which shows every field of the answer; libpq 18 traces a connection from its beginning.
"""

import os
import re
import select
import time
from collections.abc import Mapping
from typing import Any

from psycopg import OperationalError, conninfo, pq
from psycopg.errors import ConnectionTimeout

# Wrong user or password, database, schema; a right, an object or a setting that is missing; a bad value; a setting
# that a session cannot change; a feature that the server has not. Source: PostgreSQL's manual, appendix A.
_REFUSALS = ("28", "3D", "3F", "42", "22", "55P02", "0A")
_LOGIN = "28"
# What PgBouncer says for every refusal of its own, and also for a server behind it that is only starting.
_POOLER = "08P01"
# Not of the server: libpq gave up after its answer to the request for TLS, or itself refused to authenticate.
_TLS, _CLIENT = "TLS", "CLIENT"
# An answer that may be one or the other is a refusal when it is the same for so long.
_DOUBT_SECONDS, _PAUSE_SECONDS = 4.0, 1.0
# PgBouncer lets a client wait while it does not try its server again: `server_login_retry`, 15 s.
_TRACE_SECONDS = 20.0

_ERROR = re.compile(r'^B\t\d+\tErrorResponse\t.*? C "([0-9A-Z]{5})"', re.MULTILINE)
_TLS_ANSWERED = re.compile(r"^B\t\d+\tSSLResponse\t ([SN])\s*\Z", re.MULTILINE)
_LET_IN = re.compile(r"^B\t\d+\tReadyForQuery\t", re.MULTILINE)


def is_refusal(error: BaseException, parameters: Mapping[str, Any]) -> bool:
    """Whether the same connection, tried again, would get the same answer.

    `error`: what the driver raised when it connected with `parameters`, or in the first transaction. May take
    some seconds, in which it connects again.
    """
    state = getattr(error, "sqlstate", None)
    if isinstance(error, ConnectionTimeout):
        return False
    if state is not None and state != _POOLER:
        return str(state).startswith(_REFUSALS)
    # Of another class, the driver itself made nothing of the parameters.
    return not isinstance(error, OperationalError) or _refuses(conninfo.make_conninfo("", **parameters).encode())


def refuses_login(error: BaseException, parameters: Mapping[str, Any]) -> bool:
    """Whether the server refuses the user or the password. May take some seconds, in which it connects again."""
    state = getattr(error, "sqlstate", None)
    if state is None and isinstance(error, OperationalError) and not isinstance(error, ConnectionTimeout):
        state = _answer(conninfo.make_conninfo("", **parameters).encode())
    return str(state).startswith(_LOGIN)


def _refuses(where: bytes) -> bool:
    end = time.monotonic() + _DOUBT_SECONDS
    while (answer := _answer(where)) in {_POOLER, _TLS} and time.monotonic() < end:
        time.sleep(_PAUSE_SECONDS)
    return answer.startswith((*_REFUSALS, _POOLER, _TLS, _CLIENT))


def _answer(where: bytes) -> str:
    """The SQLSTATE with which a connection or its first transaction is refused, or one of the two of ours.

    Empty when nobody answers in time, or nothing is refused any more.
    """
    record = os.memfd_create("protocol")  # a password may be in it: it never reaches a disk
    try:
        connected, in_time = _try(where, record)
        trace = os.pread(record, 1_000_000, 0).decode(errors="replace")
    finally:
        os.close(record)
    if found := _ERROR.findall(trace):
        return str(found[-1])
    if connected or not in_time:
        return ""
    if answered := _TLS_ANSWERED.search(trace):
        return _TLS if answered[1] == "S" else _CLIENT
    ping = pq.PGconn.ping(where)
    # libpq is content with the answer and yet gave up: it has no password, or the server's way to authenticate is
    # not the one asked for. A server that let us in, and is not of the kind asked for, may become one.
    refused = ping == pq.Ping.OK and not _LET_IN.search(trace)
    return _CLIENT if refused or ping == pq.Ping.NO_ATTEMPT else ""


def _try(where: bytes, record: int) -> tuple[bool, bool]:
    """Connect and begin a transaction, traced to the file `record`: whether it connected, and ended in time."""
    end = time.monotonic() + _TRACE_SECONDS
    connection = pq.PGconn.connect_start(where)
    try:
        if connection.status == pq.ConnStatus.BAD:
            return False, True
        connection.trace(record)
        connection.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS)
        while (polled := connection.connect_poll()) in {pq.PollingStatus.READING, pq.PollingStatus.WRITING}:
            if not _wait(connection.socket, end, writing=polled == pq.PollingStatus.WRITING):
                return False, False
        if polled != pq.PollingStatus.OK:
            return False, True
        connection.send_query(b"BEGIN")
        while connection.is_busy() and _wait(connection.socket, end):
            connection.consume_input()
        return True, True
    finally:
        connection.untrace()
        connection.finish()


def _wait(socket: int, end: float, *, writing: bool = False) -> bool:
    wanted = ([], [socket]) if writing else ([socket], [])
    return any(select.select(*wanted, [], max(0.0, end - time.monotonic())))
