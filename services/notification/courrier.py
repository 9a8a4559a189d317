"""The mail carrier: its protocol, a mail server (SMTP), and which of it and the folder the settings name."""

import contextlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from choregraphie import BadSetting, CircuitBreaker
from services.notification.composition import SENDER, compose, destinataire
from services.notification.maildir import Maildir
from services.settings import OrderSettings

COURRIER = CircuitBreaker("the mail carrier")


class EnvoiPerdu(Exception):
    """One message was not taken. It says nothing about the others."""


class Courrier(Protocol):
    """A mail carrier. `cle` identifies a message: sent again with the same key, it is the same message."""

    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        """Hand a message over and return its recipient's address.

        Raises ResourceShortage when this process lacks something it needs, else OSError or the carrier's errors.
        """


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
        import aiosmtplib  # here: a worker whose carrier is a folder does not need it

        address = destinataire(commande_id, self._domaine)
        mail = compose(cle, address, objet, texte)
        server = urlsplit(self._url)
        host, port = server.hostname or "localhost", server.port or 25
        try:
            await aiosmtplib.send(
                mail,
                sender=SENDER,
                recipients=[address],
                hostname=host,
                port=port,
                timeout=self._timeout,
            )
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
            raise EnvoiPerdu("the carrier did not answer")
        return await self._courrier.envoyer(cle, commande_id, objet, texte)

    async def verifier(self) -> None:
        await verifier(self._courrier)


@contextlib.asynccontextmanager
async def ouvrir(settings: OrderSettings) -> AsyncIterator[Courrier]:
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


def _newer_url(settings: OrderSettings) -> str:
    """The URL of the mail server that its file holds now if it has changed, else an empty text."""

    def check(carrier: str) -> None:
        if carrier.startswith("maildir:"):
            raise BadSetting("SAGA_CARRIER: a mail server changes to a folder only with a restart")

    return str(settings.current("carrier")) if settings.read_again("carrier", check) else ""


async def verifier(courrier: Courrier) -> None:
    """Try to write to the carrier's folder, if it has one. Raises ResourceShortage when that fails."""
    if isinstance(courrier, Maildir | CourrierCapricieux):
        await courrier.verifier()
