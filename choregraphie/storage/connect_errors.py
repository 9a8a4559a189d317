"""Why a connection to PostgreSQL failed: refused, or the server is away. The SQLSTATE decides, never the message.

PgBouncer before 1.21 answers 08P01 to everything, so the stage of the login at which it does so decides as well.
Stages observed with PgBouncer 1.18 (Debian 12) and PostgreSQL 15; each answer is 08P01:

    situation                              SCRAM-SHA-256              MD5, clear text          after
    wrong password, unknown user           before the end of SCRAM    after the password       0 s
    server away or silent, pool new        SCRAM ends, no answer      no answer                > 25 s
    server away, pool in use               let in, answer to BEGIN    let in, answer to BEGIN  0 s, or > 25 s
    server starting, unknown database,
    pooler's own password out of date      after the end of SCRAM     after the password       0 s, then each 15 s
    max_client_conn                        before authentication      before authentication    0 s

With MD5 and clear text, a wrong password and a refusal by the server behind the pooler come at the same stage.
Then a second attempt with a random password decides: the pooler answers it without asking the server, so if the
two answers are equal, the pooler refuses the login.
"""

import secrets
import time
from collections.abc import Mapping
from typing import Any

from psycopg import OperationalError, conninfo, pq
from psycopg.errors import ConnectionTimeout

from choregraphie.storage.connect_attempt import attempt

# Wrong user or password, database, schema; a right, an object or a setting that is missing; a bad value; a setting
# that a session cannot change; a feature that the server has not. Source: PostgreSQL's manual, appendix A.
_REFUSALS = ("28", "3D", "3F", "42", "22", "55P02", "0A")
_LOGIN = "28"
_POOLER = "08P01"
# Not an SQLSTATE: libpq gave up after the answer to its request for TLS, or refused to authenticate.
_TLS, _CLIENT = "TLS", "CLIENT"
# An ambiguous answer is a refusal when it stays the same for this long.
_DOUBT_SECONDS, _PAUSE_SECONDS = 4.0, 1.0
# PgBouncer keeps a client waiting until it tries its server again: `server_login_retry`, 15 s.
_ANSWER_SECONDS = 20.0
# PostgreSQL and PgBouncer refuse a login at once. The check holds the database thread no longer than this.
_LOGIN_SECONDS = 4.0


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
    # An error of another class: the driver itself cannot use the parameters.
    return not isinstance(error, OperationalError) or _refuses(conninfo.make_conninfo("", **parameters).encode())


def refuses_login(error: BaseException, parameters: Mapping[str, Any]) -> bool:
    """Whether the server, or a pooler before it, refuses the user or the password.

    `error`: what the driver raised when it connected with `parameters`, or later. Connects again, for at most
    _LOGIN_SECONDS.
    """
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return str(state).startswith(_LOGIN)
    if not isinstance(error, OperationalError) or isinstance(error, ConnectionTimeout):
        return False
    return _login_refused(parameters, time.monotonic() + _LOGIN_SECONDS)


def _login_refused(parameters: Mapping[str, Any], end: float) -> bool:
    where = conninfo.make_conninfo("", **parameters)
    answer = attempt(where.encode(), end - time.monotonic())
    if answer.sqlstate != _POOLER or answer.password_accepted:
        return answer.sqlstate.startswith(_LOGIN)
    if answer.scram_failed or not answer.password_sent:
        return answer.scram_failed
    wrong = conninfo.make_conninfo(where, password=secrets.token_hex())
    return attempt(wrong.encode(), end - time.monotonic()).error == answer.error


def _refuses(where: bytes) -> bool:
    end = time.monotonic() + _DOUBT_SECONDS
    while (answer := _answer(where)) in {_POOLER, _TLS} and time.monotonic() < end:
        time.sleep(_PAUSE_SECONDS)
    return answer.startswith((*_REFUSALS, _POOLER, _TLS, _CLIENT))


def _answer(where: bytes) -> str:
    """The SQLSTATE that refuses a connection or its first transaction, or one of our two codes.

    Empty when no answer comes in time, or when the connection works now.
    """
    tried = attempt(where, _ANSWER_SECONDS, b"BEGIN")
    if tried.sqlstate == _POOLER and tried.let_in:
        # The pooler has no server, or allows no transactions; in the latter case a single statement works.
        return "" if attempt(where, _ANSWER_SECONDS, b"SELECT 1").error else _POOLER
    if tried.sqlstate or tried.connected or not tried.in_time:
        return tried.sqlstate
    if tried.tls_answer:
        return _TLS if tried.tls_answer == "S" else _CLIENT
    ping = pq.PGconn.ping(where)
    # The server answered no error and libpq gave up: it has no password, or the URL asks for another way to
    # authenticate. But after a login, the server was of another kind than the URL asks for, which may change.
    refused = ping == pq.Ping.OK and not tried.let_in
    return _CLIENT if refused or ping == pq.Ping.NO_ATTEMPT else ""
