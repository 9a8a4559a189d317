"""The projection on disk: what was heard, where each order stands, how far the stream was read.

They change together, in one transaction per batch, so a killed monitor goes on exactly where it stopped.
"""

import contextlib
import datetime as dt
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from saga_monitor.books.gaps import Gap, Loss, keep_gap
from saga_monitor.books.projection import take_in
from saga_monitor.books.schema import connect, instant, moment, refused
from saga_monitor.reading.entries import Record
from services.runtime import DatabaseRefused


@dataclass(frozen=True, slots=True)
class Mark:
    """One entry of the stream, by which it can be recognised."""

    offset: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Position:
    """How far the stream was read, and which stream it was.

    `as_of`: when what is known was true. `shift`: what the file adds to an offset of this stream; of a stream of
    which nothing was read yet, the number of the next entry.
    """

    first: Mark | None = None
    last: Mark | None = None
    caught_up_at: dt.datetime | None = None
    as_of: dt.datetime | None = None
    shift: int = 0


class Writer(StrEnum):
    """Who writes a file: something that stays, or a command that is done soon."""

    MONITOR = "monitor"
    COMMAND = "command"


class Store:
    """The file, open for writing. One process at a time: see `acquire`."""

    def __init__(self, path: Path) -> None:
        """Raises DatabaseRefused when the file cannot be used."""
        self.path = path
        self._connection = connect(path)
        self._lock_file: int | None = None
        # A batch is applied on a thread of its own; closing waits for it.
        self._busy = threading.Lock()

    def acquire(self, as_: Writer = Writer.MONITOR) -> bool:
        """Become the file's writer; False while another process is. The lock ends with its process.

        Raises DatabaseRefused when the lock beside the file cannot be used.
        """
        if self._lock_file is None:
            self._lock_file = _locked(self._lock, as_)
        return self._lock_file is not None

    def writer(self) -> Writer:
        """What the file's writer is, or was last: asked while another process is."""
        try:
            return Writer(self._lock.read_text())
        except (OSError, ValueError):
            return Writer.MONITOR

    @property
    def _lock(self) -> Path:
        return Path(f"{self.path}.lock")

    def close(self) -> None:
        with self._busy:
            self._connection.close()
            if self._lock_file is not None:
                os.close(self._lock_file)
                self._lock_file = None

    def position(self) -> Position:
        """Raises DatabaseRefused when the file cannot be read."""
        try:
            row = self._connection.execute(
                "SELECT first_offset, first_hash, last_offset, last_hash, caught_up_at, shift,"
                " (SELECT heard FROM orders ORDER BY last_offset DESC LIMIT 1) FROM position"
            ).fetchone()
        except sqlite3.Error as error:
            raise refused(self.path, error) from error
        return Position(
            first=None if row[0] is None else Mark(row[0], row[1]),
            last=None if row[2] is None else Mark(row[2], row[3]),
            caught_up_at=moment(row[4]),
            as_of=moment(max(row[4] or 0, row[6] or 0) or None),
            shift=row[5],
        )

    def leave_stream(self, now: dt.datetime) -> None:
        """Keep what is known, and read the stream that took the place of the one that was read from its start."""
        position = self.position()
        with self.transaction() as connection:
            connection.execute(
                "UPDATE position SET shift=shift + last_offset + 1, first_offset=NULL, first_hash=NULL,"
                " last_offset=NULL, last_hash=NULL, caught_up_at=NULL"
            )
            keep_gap(connection, Gap(now, Loss.REPLACED, None, 0, position.as_of, None))

    def recognise(self, first: Mark) -> None:
        """Keep `first` as the stream's oldest entry: what lay before it was trimmed."""
        with self.transaction() as connection:
            connection.execute("UPDATE position SET first_offset=?, first_hash=?", (first.offset, first.hash))

    def caught_up(self, now: dt.datetime) -> None:
        """Note that there was nothing more to read at `now`."""
        with self.transaction() as connection:
            connection.execute("UPDATE position SET caught_up_at=?", (instant(now),))

    def apply(
        self,
        records: Sequence[Record],
        first: Mark,
        last: Mark,
        caught_up_at: dt.datetime | None = None,
        *,
        shift: int = 0,
        gap: Gap | None = None,
    ) -> list[str]:
        """Take `records` in, and the position that they end at. Returns the ids of the orders touched.

        `caught_up_at`: everything that was said before then has been read with them. `gap`: what is missing
        before them.
        """
        with self.transaction() as connection:
            touched = take_in(connection, records)
            if gap is not None:
                keep_gap(connection, gap)
            connection.execute(
                "UPDATE position SET first_offset=coalesce(first_offset, ?),"
                " first_hash=coalesce(first_hash, ?), last_offset=?, last_hash=?,"
                " caught_up_at=coalesce(?, caught_up_at), shift=?, began_at=coalesce(began_at, ?)",
                (
                    *(first.offset, first.hash, last.offset, last.hash),
                    *(instant(caught_up_at), shift, first.offset + shift),
                ),
            )
        return touched

    @property
    def writes(self) -> bool:
        """Whether this process is the file's writer."""
        return self._lock_file is not None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. Raises DatabaseRefused when the file cannot be written."""
        with self._busy:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    # Of a full disk SQLite has rolled back by itself; a commit that failed leaves it to us.
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise refused(self.path, error) from error


def _locked(path: Path, as_: Writer) -> int | None:
    """The lock's file, locked; None while another process holds it."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _unlockable(path, error) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError as error:
        os.close(lock)
        raise _unlockable(path, error) from None
    # On a full disk the word is missing: it is for those who wait, and the lock holds without it.
    with contextlib.suppress(OSError):
        os.ftruncate(lock, 0)
        os.write(lock, as_.encode())
    return lock


def _unlockable(path: Path, error: OSError) -> DatabaseRefused:
    return DatabaseRefused(f"{path}: {error.strerror}; it is the lock of the file SAGA_MONITOR_DATABASE names")
