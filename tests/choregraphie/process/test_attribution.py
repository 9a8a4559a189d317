"""An exception is attributed to the message, to the outside, or to the worker itself."""

from __future__ import annotations

import errno
import os
import resource
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import aiosmtplib
import httpx
import psycopg
import pytest

from choregraphie import BrokerUnavailable, DatabaseUnavailable, ResourceShortage
from choregraphie.process.attribution import Party, attribute, shortage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def system_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def raised(do: Callable[[], object]) -> Exception:
    try:
        do()
    except Exception as error:  # noqa: BLE001 - the error is the result
        return error
    raise AssertionError("nothing was raised")


def with_cause(error: Exception, cause: BaseException) -> Exception:
    def do() -> None:
        raise error from cause

    return raised(do)


def with_context(error: Exception, first: Exception) -> Exception:
    def do() -> None:
        try:
            raise first
        except type(first):
            raise error  # noqa: B904 - the context is what the test needs

    return raised(do)


def no_thread() -> Exception:
    """The system refuses a thread with such a large stack."""
    before = threading.stack_size(1 << 46)
    try:
        return raised(threading.Thread(target=int).start)
    finally:
        threading.stack_size(before)


def full_sqlite() -> Exception:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("PRAGMA max_page_count = 1")
    return raised(lambda: connection.execute("INSERT INTO t VALUES (zeroblob(100000))"))


def read_only_sqlite() -> Exception:
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA query_only = ON")
    return raised(lambda: connection.execute("CREATE TABLE t (x)"))


OWN: dict[str, tuple[Callable[[], BaseException], str]] = {
    "no descriptor": (lambda: system_error(errno.EMFILE), "file descriptors"),
    "no descriptor in the whole system": (lambda: system_error(errno.ENFILE), "file descriptors"),
    "no memory": (MemoryError, "memory"),
    "no memory, says the system": (lambda: system_error(errno.ENOMEM), "memory"),
    "no buffer": (lambda: system_error(errno.ENOBUFS), "memory"),
    "no memory to resolve a name": (lambda: socket.gaierror(socket.EAI_MEMORY, "x"), "memory"),
    "no process": (lambda: BlockingIOError(errno.EAGAIN, "fork"), "processes or threads"),
    "no thread": (no_thread, "processes or threads"),
    "a full disk": (lambda: system_error(errno.ENOSPC), "disk space"),
    "a quota": (lambda: system_error(errno.EDQUOT), "disk space"),
    "a file size limit": (lambda: system_error(errno.EFBIG), "disk space"),
    "a read-only disk": (lambda: system_error(errno.EROFS), "a disk that can be written"),
    "a broken disk": (lambda: system_error(errno.EIO), "a disk that works"),
    "no local port": (lambda: system_error(errno.EADDRNOTAVAIL), "local ports"),
    "no local port for any address": (
        lambda: with_cause(
            OSError("all attempts failed"),
            ExceptionGroup("x", [system_error(errno.EADDRNOTAVAIL), system_error(errno.EADDRNOTAVAIL)]),
        ),
        "local ports",
    ),
    "a full SQLite": (full_sqlite, "disk space"),
    "a read-only SQLite": (read_only_sqlite, "a database that can be written"),
    "a SQLite that cannot be opened": (
        lambda: raised(lambda: sqlite3.connect("/nowhere/x")),
        "a database that can be opened",
    ),
    "a read-only PostgreSQL": (psycopg.errors.ReadOnlySqlTransaction, "a database that can be written"),
    "a full PostgreSQL": (psycopg.errors.DiskFull, "resources of the database server"),
    "a PostgreSQL without connections": (psycopg.errors.TooManyConnections, "resources of the database server"),
    "a PostgreSQL that shuts down": (psycopg.errors.AdminShutdown, "a database server that is up"),
    "a PostgreSQL in recovery": (psycopg.errors.CannotConnectNow, "a database server that is up"),
    "a PostgreSQL whose disk fails": (psycopg.errors.IoError, "a database server that works"),
    "a database that does not answer": (lambda: DatabaseUnavailable("x"), "a database that answers"),
    "a shortage": (lambda: ResourceShortage("ink"), "ink"),
    "a cause": (lambda: with_cause(httpx.ConnectError("x"), system_error(errno.EMFILE)), "file descriptors"),
    "a mail library's cause": (
        lambda: with_cause(aiosmtplib.SMTPConnectError("x"), system_error(errno.ENOBUFS)),
        "memory",
    ),
    "a broker client's cause": (
        lambda: with_cause(BrokerUnavailable("x"), system_error(errno.EMFILE)),
        "file descriptors",
    ),
    "a context": (lambda: with_context(ValueError("x"), system_error(errno.ENOSPC)), "disk space"),
    "a part of a group": (
        lambda: with_cause(
            OSError("all attempts failed"),
            ExceptionGroup("x", [ConnectionRefusedError(), system_error(errno.EMFILE)]),
        ),
        "file descriptors",
    ),
}

OTHERS: dict[str, tuple[Callable[[], BaseException], Party]] = {
    "a bug": (lambda: TypeError("x"), Party.MESSAGE),
    "an assertion": (AssertionError, Party.MESSAGE),
    "a recursion": (RecursionError, Party.MESSAGE),
    "an error of the engine": (lambda: raised(lambda: iter([]).__next__()), Party.MESSAGE),
    "a value that PostgreSQL refuses": (psycopg.errors.NumericValueOutOfRange, Party.MESSAGE),
    "nobody listens": (ConnectionRefusedError, Party.OUTSIDE),
    "it hung up": (ConnectionResetError, Party.OUTSIDE),
    "it took too long": (TimeoutError, Party.OUTSIDE),
    "no such name": (lambda: socket.gaierror(socket.EAI_NONAME, "x"), Party.OUTSIDE),
    "no name now": (lambda: socket.gaierror(socket.EAI_AGAIN, "x"), Party.OUTSIDE),
    "no way there": (lambda: system_error(errno.EHOSTUNREACH), Party.OUTSIDE),
    "no IPv6 here, and nobody listens": (
        lambda: with_cause(
            OSError("all attempts failed"),
            ExceptionGroup(
                "x", [system_error(errno.EADDRNOTAVAIL), ConnectionRefusedError(errno.ECONNREFUSED, "x")]
            ),
        ),
        Party.OUTSIDE,
    ),
    # OpenSSL's own number 5 is the system's EIO.
    "a broken TLS": (lambda: ssl.SSLSyscallError(5, "x"), Party.OUTSIDE),
}


@pytest.mark.parametrize(("make", "lacking"), OWN.values(), ids=OWN)
def test_a_shortage_is_attributed_to_the_worker(make: Callable[[], BaseException], lacking: str) -> None:
    error = make()
    assert attribute(error) == attribute(error, calling=True) == (Party.WORKER, lacking)
    found = shortage(error)
    assert found is not None
    assert found.lacking == lacking


@pytest.mark.parametrize(("make", "party"), OTHERS.values(), ids=OTHERS)
def test_any_other_error_is_attributed_to_the_message_or_the_outside(
    make: Callable[[], BaseException], party: Party
) -> None:
    error = make()
    assert attribute(error).party is party
    assert attribute(error, calling=True).party is Party.OUTSIDE
    assert shortage(error) is None


def test_a_full_disk_of_a_called_server_is_attributed_to_the_outside() -> None:
    error = aiosmtplib.SMTPRecipientsRefused(
        [aiosmtplib.SMTPRecipientRefused(452, "4.3.1 Insufficient system storage", "x@y.z")]
    )
    assert attribute(error, calling=True).party is Party.OUTSIDE
    answer = httpx.Response(507, request=httpx.Request("PUT", "http://x"))
    assert attribute(raised(answer.raise_for_status), calling=True).party is Party.OUTSIDE


def test_errors_that_are_each_others_cause_are_visited_once() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert attribute(first).party is Party.MESSAGE


LIMITED = """
import resource, sys
from choregraphie import ResourceShortage
from choregraphie.process.resources import check_resources
check_resources()
limit, value = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(limit, (value, value))
try:
    check_resources()
except ResourceShortage as short:
    print(short.lacking)
"""


@pytest.mark.parametrize(
    ("limit", "value", "lacking"),
    [(resource.RLIMIT_NOFILE, 8, "file descriptors"), (resource.RLIMIT_AS, 1_000_000, "memory")],
)
def test_a_process_detects_what_it_is_short_of(
    limit: int, value: int, lacking: str, request: pytest.FixtureRequest
) -> None:
    root: Path = request.config.rootpath
    command = [sys.executable, "-c", LIMITED, str(limit), str(value)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.strip(), done.stderr) == (lacking, "")
