"""Attributes an exception to the message, to the outside, or to the worker itself. Pure.

Only a failure of the message or of the outside counts as a try. A worker that is short of its own resources would
fail with any message, so it waits. The decision uses class, errno, SQLSTATE and SQLite's result code, never text.
"""

import errno
import sqlite3
import ssl
import threading
from collections.abc import Callable, Iterator
from enum import StrEnum
from socket import EAI_MEMORY, gaierror
from typing import Any, NamedTuple

from choregraphie.errors import DatabaseUnavailable, ResourceShortage, UserError


class Party(StrEnum):
    MESSAGE = "message"
    OUTSIDE = "outside"
    WORKER = "worker"


class Attribution(NamedTuple):
    """`lacking`: what the worker has too little of, when the failure is its own."""

    party: Party
    lacking: str = ""


# errno(3): system errors that concern neither the message nor the server that was called.
_LACKING = {
    errno.EMFILE: "file descriptors",
    errno.ENFILE: "file descriptors",
    errno.ENOMEM: "memory",
    errno.ENOBUFS: "memory",
    errno.EAGAIN: "processes or threads",  # fork(2); the event loop handles the EAGAIN of sockets
    errno.ENOSPC: "disk space",
    errno.EDQUOT: "disk space",
    errno.EFBIG: "disk space",  # RLIMIT_FSIZE
    errno.EROFS: "a disk that can be written",
    errno.EIO: "a disk that works",
    errno.EREMOTEIO: "a disk that works",
    errno.ESTALE: "a disk that works",
    errno.EUCLEAN: "a disk that works",
    errno.ENOLCK: "file locks",
}
LOCAL_PORTS = "local ports"
# SQLite's primary result codes: https://www.sqlite.org/rescode.html
_SQLITE = {
    sqlite3.SQLITE_FULL: "disk space",
    sqlite3.SQLITE_IOERR: "a disk that works",
    sqlite3.SQLITE_READONLY: "a database that can be written",
    sqlite3.SQLITE_CANTOPEN: "a database that can be opened",
    sqlite3.SQLITE_NOMEM: "memory",
    sqlite3.SQLITE_BUSY: "a database that is not locked",
    sqlite3.SQLITE_LOCKED: "a database that is not locked",
}
# SQLSTATEs, or how they begin (PostgreSQL's manual, appendix A): read-only transaction, insufficient resources,
# operator intervention, system error, connection exception.
_POSTGRESQL = {
    "25006": "a database that can be written",
    "53": "resources of the database server",
    "57P": "a database server that is up",
    "58": "a database server that works",
    "08": "a database server that is up",
}


def attribute(error: BaseException, *, calling: bool = False) -> Attribution:
    """Attribute `error` and everything below it: its causes, its context, the parts of a group.

    `calling`: it was raised by a call to the outside, so whatever is not the worker's own is the outside's.
    """
    errors = [*_below(error)]
    for one in errors:
        if lacking := _lacking(one):
            return Attribution(Party.WORKER, lacking)
    numbers = {one.errno for one in errors if isinstance(one, OSError) and one.errno is not None}
    # On a machine without IPv6 one of several addresses fails with the same number, and the others decide.
    if numbers == {errno.EADDRNOTAVAIL}:
        return Attribution(Party.WORKER, LOCAL_PORTS)
    outside = calling or any(isinstance(one, OSError) for one in errors)
    return Attribution(Party.OUTSIDE if outside else Party.MESSAGE)


def shortage(error: BaseException) -> ResourceShortage | None:
    """`error` as a ResourceShortage when it is the worker's own failure and may pass; otherwise None."""
    if isinstance(error, UserError):
        return None
    found = next((one for one in _below(error) if isinstance(one, ResourceShortage)), None)
    if found is not None:
        return found
    party, lacking = attribute(error)
    if party is not Party.WORKER:
        return None
    return ResourceShortage(lacking, f"{type(error).__name__}: {error}")


def _below(error: BaseException) -> Iterator[BaseException]:
    # There may be a cycle: an error that is raised again can become the context of its own cause.
    seen: set[int] = set()
    below: list[BaseException | None] = [error]
    while below:
        one = below.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            below += one.exceptions
        below += [one.__cause__, None if one.__suppress_context__ else one.__context__]


def _lacking(error: BaseException) -> str:
    if isinstance(error, ResourceShortage):
        return error.lacking
    if isinstance(error, DatabaseUnavailable):
        return "a database that answers"
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, RuntimeError):
        # Without a free thread, `start` raises one without a class of its own.
        return "processes or threads" if was_raised_by(error, threading.Thread.start) else ""
    return _lacking_in_system(error) if isinstance(error, OSError) else _lacking_in_database(error)


def _lacking_in_system(error: OSError) -> str:
    if isinstance(error, gaierror):  # numbered by getaddrinfo(3)
        return "memory" if error.errno == EAI_MEMORY else ""
    if isinstance(error, ssl.SSLError):  # numbered by OpenSSL
        return ""
    return _LACKING.get(error.errno or 0, "")


def _lacking_in_database(error: BaseException) -> str:
    if isinstance(error, sqlite3.Error):
        return _SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "")
    state = getattr(error, "sqlstate", None)
    if not isinstance(state, str):
        return ""
    return next((lacking for start, lacking in _POSTGRESQL.items() if state.startswith(start)), "")


def was_raised_by(error: BaseException, *functions: Callable[..., Any]) -> bool:
    """Whether the body of one of `functions` raised `error`.

    For errors whose class does not tell their meaning.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    codes = [getattr(function, "__code__", None) for function in functions]
    return trace is not None and trace.tb_frame.f_code in codes
