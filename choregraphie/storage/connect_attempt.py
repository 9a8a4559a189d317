"""One attempt to connect to PostgreSQL, read from libpq's trace of the protocol.

A server refuses with an SQLSTATE, and with words in a language of its own. libpq keeps the words and drops the
SQLSTATE of a failed connection (psycopg issue 1188). Its trace shows every field of the answer, and how far the
login got; libpq 18 traces a connection from its beginning.
"""

import os
import re
import select
import time
from dataclasses import dataclass

from psycopg import pq

_ERROR = re.compile(r'^B\t\d+\tErrorResponse\t(.*? C "([0-9A-Z]{5})".*)', re.MULTILINE)
_TLS_ANSWERED = re.compile(r"^B\t\d+\tSSLResponse\t ([SN])\s*\Z", re.MULTILINE)
_LET_IN = re.compile(r"^B\t\d+\tReadyForQuery\t", re.MULTILINE)
_SCRAM_BEGUN = re.compile(r"^B\t\d+\tAuthenticationSASLContinue\b", re.MULTILINE)
_SCRAM_PASSED = re.compile(r"^B\t\d+\tAuthenticationSASLFinal\b", re.MULTILINE)
_PASSWORD_SENT = re.compile(r"^F\t\d+\tPasswordMessage\b", re.MULTILINE)


@dataclass(frozen=True)
class Attempt:
    """`connected`: libpq was content; `in_time`: it was not given up for taking too long."""

    connected: bool
    in_time: bool
    trace: str

    @property
    def error(self) -> str:
        """The fields of the last error that was answered, as they came; else empty."""
        return str(found[-1][0]) if (found := _ERROR.findall(self.trace)) else ""

    @property
    def sqlstate(self) -> str:
        """The SQLSTATE of the last error that was answered, else empty."""
        return str(found[-1][1]) if (found := _ERROR.findall(self.trace)) else ""

    @property
    def tls_answer(self) -> str:
        """`S` or `N` when the answer to the request for TLS was the last thing that came, else empty."""
        return answered[1] if (answered := _TLS_ANSWERED.search(self.trace)) else ""

    @property
    def let_in(self) -> bool:
        """Whether the server was ready for a query."""
        return bool(_LET_IN.search(self.trace))

    @property
    def password_accepted(self) -> bool:
        """Whether the answer shows it. MD5 and clear text show it only by letting the client in."""
        return self.let_in or bool(_SCRAM_PASSED.search(self.trace))

    @property
    def scram_failed(self) -> bool:
        """Whether the server broke SCRAM off after it had begun: only a wrong user or password does that."""
        return bool(self.error and _SCRAM_BEGUN.search(self.trace)) and not self.password_accepted

    @property
    def password_sent(self) -> bool:
        """Whether the server asked for the password by MD5 or in clear text, and got it."""
        return bool(_PASSWORD_SENT.search(self.trace))


def attempt(where: bytes, seconds: float, query: bytes | None = None) -> Attempt:
    """Connect to `where`, a connection string, and send `query` if there is one; give up after `seconds`."""
    record = os.memfd_create("protocol")  # a password may be in it: it never reaches a disk
    try:
        connected, in_time = _try(where, query, record, time.monotonic() + seconds)
        return Attempt(connected, in_time, os.pread(record, 1_000_000, 0).decode(errors="replace"))
    finally:
        os.close(record)


def _try(where: bytes, query: bytes | None, record: int, end: float) -> tuple[bool, bool]:
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
        if query is not None:
            connection.send_query(query)
        while connection.is_busy() and _wait(connection.socket, end):
            connection.consume_input()
        return True, True
    finally:
        connection.untrace()
        connection.finish()


def _wait(socket: int, end: float, *, writing: bool = False) -> bool:
    wanted = ([], [socket]) if writing else ([socket], [])
    return any(select.select(*wanted, [], max(0.0, end - time.monotonic())))
