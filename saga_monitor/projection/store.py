"""Opens the projection for writing: its transactions, its position in the stream, its counters.

They change together, in one transaction per batch, so a killed monitor goes on exactly where it stopped.
"""

import contextlib
import datetime as dt
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from choregraphie import DatabaseRefused
from choregraphie.saga.envelope import Instance
from choregraphie.saga.saga_set import SagaSet
from saga_monitor.analysis.evaluations import Evaluations
from saga_monitor.projection.file_identity import Change, FileChanged, Identity, is_damage, reopened, rescue
from saga_monitor.projection.file_lock import Writer, is_at, lock_file
from saga_monitor.projection.gaps import Gap, Loss, keep_gap
from saga_monitor.projection.indexes import index_sagas
from saga_monitor.projection.older_files import set_aside_older
from saga_monitor.projection.projection import apply_records
from saga_monitor.projection.retention import bound_unknown
from saga_monitor.projection.schema import AS_OF, connect, instant, moment, refused
from saga_monitor.records.parser import Record

if TYPE_CHECKING:
    from choregraphie.signing.signature import Verifier


@dataclass(frozen=True, slots=True)
class Mark:
    """An entry of the stream, with a hash that identifies it."""

    offset: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Position:
    """How far the stream was read, and which stream it is.

    `as_of`: when what is known was true. `shift`: what the file adds to an offset of this stream; of a stream of
    which nothing was read yet, the number of the next entry.
    """

    first: Mark | None = None
    last: Mark | None = None
    caught_up_at: dt.datetime | None = None
    as_of: dt.datetime | None = None
    shift: int = 0


__all__ = ["Mark", "Position", "Store", "Writer"]


class Store:
    """The file of the monitor of `sagas`, open for writing by one process at a time: see `acquire`."""

    def __init__(self, path: Path, sagas: SagaSet, verifier: "Verifier | None" = None) -> None:
        """`verifier`: verifies what is read. Raises DatabaseRefused when the file cannot be used."""
        self.path, self.sagas, self.verifier = path, sagas, verifier
        self._connection, self._identity = connect(path), Identity(path)
        self._evaluations = Evaluations()
        self._lock_file: int | None = None
        # A batch is applied on its own thread; closing waits for it.
        self._busy = threading.Lock()

    def acquire(self, as_: Writer = Writer.MONITOR) -> bool:
        """Makes this process the file's writer; False while another one is. The lock ends with the process.

        Raises DatabaseRefused when the lock beside the file, or the file, cannot be used.
        """
        if self._lock_file is None:
            self._lock_file = lock_file(self._lock, as_)
            if self._lock_file is not None and len(self.sagas.declared) > 1:
                with self.transaction() as connection:
                    index_sagas(connection)
        return self._lock_file is not None

    def writer(self) -> Writer:
        """The kind of the file's current or last writer, for when another process holds the lock."""
        try:
            return Writer(self._lock.read_text())
        except (OSError, ValueError):
            return Writer.MONITOR

    @property
    def _lock(self) -> Path:
        # Different paths to the same file share one lock.
        return Path(f"{self.path.resolve()}.lock")

    def close(self) -> None:
        with self._busy:
            self._connection.close()
            self._unlock()

    def renew(self, change: Change) -> str:
        """Opens the file again after `change`. Returns what that means, for a person.

        What was damaged is copied as far as it is whole, else begun anew. The lock is to be acquired again.
        Raises DatabaseRefused when that cannot be done.
        """
        with self._busy:
            try:
                whole = change is not Change.DAMAGED or rescue(self._connection, self.path)
            except (OSError, sqlite3.Error) as error:
                raise DatabaseRefused(f"{self.path} {change.value}, and cannot be mended: {error}") from error
            older = None
            if change is not Change.UNLOCKED:
                # Before the file is opened, or SQLite would mix the remains of the deleted one into it.
                self._identity.remove_leftovers()
                older = set_aside_older(self.path)
                found = reopened(self.path, self._connection, self._identity)
                self._connection, self._identity = found
            self._unlock()
        if change is Change.DAMAGED:
            aside = f"the damaged one is kept as {self.path}.damaged"
            return f"what it held was saved; {aside}" if whole else f"it is built anew from the stream; {aside}"
        if change is Change.UNLOCKED:
            return "it is locked again, or another monitor writes it now"
        return older or "it is built anew from the stream"

    def _unlock(self) -> None:
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def _check(self) -> None:
        """Raises FileChanged."""
        change = self._identity.change()
        if change is None and self._lock_file is not None and not is_at(self._lock_file, self._lock):
            change = Change.UNLOCKED
        if change is not None:
            raise FileChanged(self.path, change)

    def position(self) -> Position:
        """Raises DatabaseRefused when the file cannot be read."""
        self._check()
        try:
            row = self._connection.execute(
                f"SELECT first_offset, first_hash, last_offset, last_hash, caught_up_at, shift, {AS_OF}"  # noqa: S608
                " FROM position"
            ).fetchone()
        except sqlite3.Error as error:
            raise refused(self.path, error) from error
        return Position(
            first=None if row[0] is None else Mark(row[0], row[1]),
            last=None if row[2] is None else Mark(row[2], row[3]),
            caught_up_at=moment(row[4]),
            as_of=moment(row[6]),
            shift=row[5],
        )

    def gaps(self) -> int:
        """The number of gaps. Raises DatabaseRefused when the file cannot be read."""
        try:
            return int(self._connection.execute("SELECT count(*) FROM gaps").fetchone()[0])
        except sqlite3.Error as error:
            raise refused(self.path, error) from error

    def start_new_stream(self, now: dt.datetime) -> None:
        """Keeps what is known and continues with the start of the stream that replaced the previous one."""
        position = self.position()
        with self.transaction() as connection:
            connection.execute(
                "UPDATE position SET shift=shift + last_offset + 1, first_offset=NULL, first_hash=NULL,"
                " last_offset=NULL, last_hash=NULL, caught_up_at=NULL"
            )
            keep_gap(connection, Gap(now, Loss.REPLACED, None, 0, position.as_of, None))

    def set_first_entry(self, first: Mark) -> None:
        """Saves `first` as the stream's oldest entry, after older entries were trimmed."""
        with self.transaction() as connection:
            connection.execute("UPDATE position SET first_offset=?, first_hash=?", (first.offset, first.hash))

    def caught_up(self, now: dt.datetime) -> None:
        """Saves that there was nothing more to read at `now`."""
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
    ) -> list[Instance]:
        """Applies `records` and saves the position of the last. Returns the instances that they concern.

        `caught_up_at`: everything said before then has been read. `gap`: the entries missing before `records`.
        """
        place = first.offset, first.hash, last.offset, last.hash
        with self.transaction() as connection:
            touched = apply_records(connection, self.sagas, records, self._evaluations)
            bound_unknown(connection, self.sagas)
            if gap is not None:
                keep_gap(connection, gap)
            connection.execute(
                "UPDATE position SET first_offset=coalesce(first_offset, ?),"
                " first_hash=coalesce(first_hash, ?), last_offset=?, last_hash=?,"
                " caught_up_at=coalesce(?, caught_up_at), shift=?, began_at=coalesce(began_at, ?)",
                (*place, instant(caught_up_at), shift, first.offset + shift),
            )
        return touched

    @property
    def writes(self) -> bool:
        """Whether this process is the file's writer."""
        return self._lock_file is not None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction. Raises DatabaseRefused when the file cannot be written."""
        with self._busy:
            self._check()
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    # After a full disk SQLite has rolled back itself; after a failed commit it has not.
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                if is_damage(error):
                    raise FileChanged(self.path, Change.DAMAGED) from error
                raise refused(self.path, error) from error
