"""The mail carrier: its protocol, a Maildir (the default), SMTP, and which of them the settings name."""

import asyncio
import contextlib
import hashlib
import os
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import aiosmtplib

from choregraphie import BadSetting, ResourceShortage, Settings

SENDER = "boutique@choregraphie.invalid"
LONGEST_LOCAL_PART = 64  # RFC 5321, 4.5.3.1.1
DRAFT_SECONDS = 36 * 3600  # "maildir", D. J. Bernstein: a file in tmp is given up after 36 hours
LARGEST_MESSAGE_BYTES = 16_384  # an order's message is far smaller
LONGEST_ADDRESS = 100  # what `notification.envoyee` has room for


class Courrier(Protocol):
    """A mail carrier. `cle` identifies a message: sent again with the same key, it is the same message."""

    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        """Hand a message over and return its recipient's address.

        Raises ResourceShortage when this process lacks something it needs, else OSError or the carrier's errors.
        """


def destinataire(commande_id: str, domaine: str) -> str:
    """The relay address of an order's customer: the order's id at the mail domain.

    Events carry no personal address; the mail domain resolves this one. An id that is not valid as the local part
    of an address, or too long for one, is replaced by its digest.
    """
    plain = commande_id.isascii() and commande_id.replace("-", "").replace("_", "").isalnum()
    fits = len(commande_id) <= LONGEST_LOCAL_PART and len(f"{commande_id}@{domaine}") <= LONGEST_ADDRESS
    return f"{commande_id if plain and fits else _digest(commande_id)[:32]}@{domaine}"


def message(cle: str, address: str, objet: str, texte: str) -> EmailMessage:
    mail = EmailMessage(policy=SMTPUTF8)
    mail["From"] = SENDER
    mail["To"] = address
    mail["Subject"] = " ".join(objet.split())  # a header is one line, whatever is in the id
    mail["Message-ID"] = f"<{_digest(cle)}@choregraphie.invalid>"
    mail.set_content(texte)
    return mail


def _digest(cle: str) -> str:
    return hashlib.sha256(cle.encode()).hexdigest()[:40]


class Maildir:
    """A folder of messages, one file each. The key gives the file its name, so a message exists once."""

    def __init__(self, folder: Path, domaine: str) -> None:
        self._folder = folder
        self._domaine = domaine
        for part in ("tmp", "new", "cur"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        self._delete_old_drafts()

    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        address = destinataire(commande_id, self._domaine)
        mail = message(cle, address, objet, texte)
        with self._own():
            await asyncio.to_thread(self._deliver, _digest(cle), mail.as_bytes())
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
        for part in ("tmp", "new"):
            trial = self._folder / part / f".{uuid.uuid4().hex}"
            try:
                _write(trial, b"\n" * LARGEST_MESSAGE_BYTES)
            finally:
                trial.unlink(missing_ok=True)

    def _deliver(self, name: str, body: bytes) -> None:
        if (self._folder / "new" / name).exists() or any((self._folder / "cur").glob(f"{name}*")):
            return
        # Two tries of one message may overlap: each writes a draft of its own, and the last rename wins.
        draft = self._folder / "tmp" / f"{name}.{uuid.uuid4().hex}"
        try:
            _write(draft, body)
            draft.rename(self._folder / "new" / name)
        except BaseException:
            # On a full disk each try would leave another draft. The draft or its folder may be missing.
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise

    def _delete_old_drafts(self) -> None:
        """Delete the drafts of workers that died while they wrote."""
        for draft in (self._folder / "tmp").iterdir():
            with contextlib.suppress(FileNotFoundError):  # another worker may start at the same time
                if draft.is_file() and time.time() - draft.stat().st_mtime > DRAFT_SECONDS:
                    draft.unlink()


def _write(path: Path, body: bytes) -> None:
    with path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


class Smtp:
    """A mail server at `url`. A repetition is sent again with the same Message-ID, by which mail readers know it.

    When the server refuses, `newer` gives the URL to use from then on; an empty one changes nothing.
    """

    def __init__(self, url: str, domaine: str, timeout: float, newer: Callable[[], str] = str) -> None:
        self._url = url
        self._domaine = domaine
        self._timeout = timeout
        self._newer = newer

    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        address = destinataire(commande_id, self._domaine)
        mail = message(cle, address, objet, texte)
        server = urlsplit(self._url)
        host, port = server.hostname or "localhost", server.port or 25
        try:
            await aiosmtplib.send(mail, hostname=host, port=port, timeout=self._timeout)
        except (aiosmtplib.SMTPResponseException, aiosmtplib.SMTPRecipientsRefused):
            self._url = self._newer() or self._url
            raise
        return address


class CourrierCapricieux:
    """A carrier that fails at random before it hands the message to another one."""

    def __init__(self, courrier: Courrier, failure_rate: float, rng: random.Random | None = None) -> None:
        self._courrier = courrier
        self._failure_rate = failure_rate
        self._rng = rng or random.Random()  # noqa: S311 - a simulation

    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        if self._rng.random() < self._failure_rate:
            raise ConnectionError("the carrier did not answer")
        return await self._courrier.envoyer(cle, commande_id, objet, texte)

    async def verifier(self) -> None:
        await verifier(self._courrier)


@contextlib.asynccontextmanager
async def ouvrir(settings: Settings) -> AsyncIterator[Courrier]:
    """The carrier that the settings name. Raises BadSetting when its folder cannot be written."""
    courrier: Courrier
    kind, _, rest = settings.carrier.partition(":")
    if kind == "maildir":
        try:
            courrier = Maildir(Path(rest), settings.mail_domain)
        except OSError as error:
            raise BadSetting(f"SAGA_CARRIER {rest}: {error.strerror}") from None
    else:
        courrier = Smtp(
            settings.carrier, settings.mail_domain, settings.call_timeout, lambda: _newer_url(settings)
        )
    if settings.carrier_failure_rate:
        courrier = CourrierCapricieux(courrier, settings.carrier_failure_rate)
    yield courrier


def _newer_url(settings: Settings) -> str:
    """The URL of the mail server that its file holds now if it has changed, else an empty text."""

    def check(carrier: str) -> None:
        if carrier.startswith("maildir:"):
            raise BadSetting("SAGA_CARRIER: a mail server changes to a folder only with a restart")

    return str(settings.current("carrier")) if settings.read_again("carrier", check) else ""


async def verifier(courrier: Courrier) -> None:
    """Try to write to the carrier's folder, if it has one. Raises ResourceShortage when that fails."""
    if isinstance(courrier, Maildir | CourrierCapricieux):
        await courrier.verifier()
