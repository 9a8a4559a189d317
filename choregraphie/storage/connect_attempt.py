"""One attempt to connect to PostgreSQL, with its result from libpq's trace of the protocol.

A server refuses a connection with an SQLSTATE and a message in its own language. libpq keeps the message and drops
the SQLSTATE (psycopg issue 1188). Its trace shows every field of the answer, and how far the login got. libpq 18
traces a connection from its beginning.
"""

import os
import re
import select
import time
from dataclasses import dataclass

from psycopg import pq

_ERROR = re.compile(r'^B\t\d+\tErrorResponse\t(.*? C "([0-9A-Z]{5})".*)', re.MULTILINE)
# After `S`, what the client sends inside TLS may follow: since TLS 1.3 its certificate is refused only then.
_TLS_ANSWERED = re.compile(r"^B\t\d+\tSSLResponse\t (?:(N)\s*|(S)\s*(?:^F\t.*\s*)*)\Z", re.MULTILINE)
_LET_IN = re.compile(r"^B\t\d+\tReadyForQuery\t", re.MULTILINE)
_SCRAM_BEGUN = re.compile(r"^B\t\d+\tAuthenticationSASLContinue\b", re.MULTILINE)
_SCRAM_PASSED = re.compile(r"^B\t\d+\tAuthenticationSASLFinal\b", re.MULTILINE)
_PASSWORD_SENT = re.compile(r"^F\t\d+\tPasswordMessage\b", re.MULTILINE)


@dataclass(frozen=True)
class Attempt:
    """`connected`: whether libpq connected. `in_time`: False when the attempt was given up for taking too long."""

    connected: bool
    in_time: bool
    trace: str

    @property
    def error(self) -> str:
        """The fields of the last error in the trace, or an empty string."""
        return str(found[-1][0]) if (found := _ERROR.findall(self.trace)) else ""

    @property
    def sqlstate(self) -> str:
        """The SQLSTATE of the last error in the trace, or an empty string."""
        return str(found[-1][1]) if (found := _ERROR.findall(self.trace)) else ""

    @property
    def tls_answer(self) -> str:
        """`S` or `N` when the connection ended after that answer to the request for TLS, else an empty string."""
        return answered[1] or answered[2] if (answered := _TLS_ANSWERED.search(self.trace)) else ""

    @property
    def let_in(self) -> bool:
        """Whether the login succeeded: the server was ready for a query."""
        return bool(_LET_IN.search(self.trace))

    @property
    def password_accepted(self) -> bool:
        """Whether the trace shows that the password was accepted. MD5 and clear text show it only by a login."""
        return self.let_in or bool(_SCRAM_PASSED.search(self.trace))

    @property
    def scram_failed(self) -> bool:
        """Whether the server ended SCRAM with an error: it does so for a wrong user or password alone."""
        return bool(self.error and _SCRAM_BEGUN.search(self.trace)) and not self.password_accepted

    @property
    def password_sent(self) -> bool:
        """Whether the client sent the password, by MD5 or in clear text."""
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
    poll = select.poll()  # `select.select` takes no descriptor above 1023
    poll.register(socket, select.POLLOUT if writing else select.POLLIN)
    return bool(poll.poll(max(0.0, end - time.monotonic()) * 1000))
