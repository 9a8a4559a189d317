"""The mail folder, a Maildir: a file per message. What waits at a moment is written by few threads."""

import asyncio
import contextlib
import errno
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from choregraphie import ResourceShortage
from services.notification.composition import compose, destinataire, digest

DRAFT_SECONDS = 36 * 3600  # "maildir", D. J. Bernstein: a file in tmp is given up after 36 hours
LARGEST_MESSAGE_BYTES = 16_384  # an order's message is far smaller
# A disk flushes the files of several threads together. One thread takes three times as long: docs/performance.md.
MOST_THREADS = 4


class _Mail(NamedTuple):
    """A message that waits to be written. `written` is done when it is."""

    name: str
    body: bytes
    written: asyncio.Future[None]


class Maildir:
    """A folder of messages, one file each. The key gives the file its name, so a message exists once."""

    def __init__(self, folder: Path, domaine: str) -> None:
        self._folder = folder
        # Texts, because a Path costs more processor time than what is done with it.
        self._tmp, self._new, self._cur = (f"{folder}/{part}" for part in ("tmp", "new", "cur"))
        self._domaine = domaine
        self._waiting: list[_Mail] = []
        self._threads = 0
        for part in ("tmp", "new", "cur"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        self._delete_old_drafts()

    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        """Write a message to the folder and return its recipient's address. It survives a loss of power then."""
        address = destinataire(commande_id, self._domaine)
        loop = asyncio.get_running_loop()
        mail = _Mail(digest(cle), compose(cle, address, objet, texte), loop.create_future())
        self._waiting.append(mail)
        loop.call_soon(self._write_waiting)  # after the other callers of this moment
        with self._own():
            await mail.written
        return address

    async def verifier(self) -> None:
        with self._own():
            await asyncio.to_thread(self._try)

    @contextlib.contextmanager
    def _own(self) -> Iterator[None]:
        """Raises ResourceShortage when the folder is missing or not writable: that is no fault of the message."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            raise ResourceShortage(f"a mail folder that can be written ({self._folder})", str(error)) from error

    def _try(self) -> None:
        for part in (self._tmp, self._new):
            trial = f"{part}/.{uuid.uuid4().hex}"
            try:
                _write(trial, b"\n" * LARGEST_MESSAGE_BYTES)
            finally:
                Path(trial).unlink(missing_ok=True)
        _flush_folder(self._new)

    def _write_waiting(self) -> None:
        """Let a thread write its share of the messages that wait."""
        if not self._waiting or self._threads == MOST_THREADS:
            return
        share = -(-len(self._waiting) // MOST_THREADS)
        group, self._waiting = self._waiting[:share], self._waiting[share:]
        try:
            writing = asyncio.get_running_loop().run_in_executor(None, self._deliver_group, group)
        except RuntimeError as error:  # the process cannot start a thread
            _tell(group, [error] * len(group))
            return
        self._threads += 1
        writing.add_done_callback(partial(self._end, group))

    def _end(self, group: Sequence[_Mail], writing: asyncio.Future[list[OSError | None]]) -> None:
        """Tell the callers how it ended, and write what has come meanwhile."""
        self._threads -= 1
        failure = writing.exception()
        _tell(group, [failure] * len(group) if failure else writing.result())
        self._write_waiting()

    def _deliver_group(self, group: Sequence[_Mail]) -> list[OSError | None]:
        """Write the messages that are not in the folder yet; the error of each.

        Raises OSError when the folder's entries cannot be written, which concerns them all.
        """
        present = {mail.name for mail in group if os.path.exists(f"{self._new}/{mail.name}")}
        # In this order: a reader moves a message from new to cur, and appends flags to its name.
        with contextlib.suppress(FileNotFoundError, PermissionError):
            present |= {name.partition(":")[0] for name in os.listdir(self._cur)}
        errors = [None if mail.name in present else self._error_of(mail) for mail in group]
        _flush_folder(self._new)
        return errors

    def _error_of(self, mail: _Mail) -> OSError | None:
        try:
            self._deliver(mail.name, mail.body)
        except OSError as error:
            return error
        return None

    def _deliver(self, name: str, body: bytes) -> None:
        # Two tries of one message may overlap: each writes a draft of its own, and the last rename wins.
        draft = f"{self._tmp}/{name}.{uuid.uuid4().hex}"
        try:
            _write(draft, body)
            os.rename(draft, f"{self._new}/{name}")
        except BaseException:
            # On a full disk each try would leave another draft. The draft or its folder may be missing.
            with contextlib.suppress(OSError):
                Path(draft).unlink(missing_ok=True)
            raise

    def _delete_old_drafts(self) -> None:
        """Delete the drafts of workers that died while they wrote."""
        for draft in Path(self._tmp).iterdir():
            with contextlib.suppress(FileNotFoundError):  # another worker may start at the same time
                if draft.is_file() and time.time() - draft.stat().st_mtime > DRAFT_SECONDS:
                    draft.unlink()


def _tell(group: Sequence[_Mail], errors: Sequence[BaseException | None]) -> None:
    """Tell each caller the error of its message, or that it is written."""
    for mail, error in zip(group, errors, strict=True):
        if mail.written.done():  # its caller has given up
            continue
        if error:
            mail.written.set_exception(error)
        else:
            mail.written.set_result(None)


def _write(path: str, body: bytes) -> None:
    with open(path, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: str) -> None:
    """Make the names in `folder` durable. Until then a loss of power may take a file back to where it was."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot flush a folder
            raise
    finally:
        os.close(descriptor)
