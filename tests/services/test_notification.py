"""Notification, in a harness with a real database: a customer is told once, and a sent message is corrected."""

import mailbox
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from choregraphie.testing import ServiceHarness
from contracts.notification import NotificationEnvoyee
from services.notification import SERVICE
from services.notification.maildir import Maildir
from tests.services.conftest import MakeHarness
from tests.support.event_builders import CMD, annulee, creee


class Reluctant:
    """A carrier that fails a number of times, before or after it has sent the message."""

    def __init__(self, carrier: Maildir, failures: int, *, after: bool) -> None:
        self._carrier = carrier
        self._failures = failures
        self._after = after

    async def envoyer(self, *mail: str) -> str:
        self._failures -= 1
        if self._failures >= 0 and not self._after:
            raise ConnectionError("the carrier did not answer")
        address = await self._carrier.envoyer(*mail)
        if self._failures >= 0:
            raise TimeoutError("the carrier's answer was lost")
        return address


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "courrier"


@pytest.fixture
def carrier(folder: Path) -> Maildir:
    return Maildir(folder, "clients.invalid")


@pytest.fixture
def harness(make_harness: MakeHarness, carrier: Maildir) -> ServiceHarness:
    return make_harness(SERVICE, externals=carrier)


def subjects(folder: Path) -> list[str]:
    """The subjects of the mails in the mailbox."""
    return sorted(str(mail["Subject"]) for mail in mailbox_of(folder))


def mailbox_of(folder: Path) -> list[EmailMessage]:
    """The mailbox, as a mail program reads it."""
    found = mailbox.Maildir(folder, create=False)
    return [message_from_bytes(found.get_bytes(key), policy=default) for key in found.keys()]  # noqa: SIM118


def sent(modele: Any) -> list[NotificationEnvoyee]:
    return [NotificationEnvoyee(commande_id=CMD, modele=modele, destinataire=f"{CMD}@clients.invalid")]


CONFIRMED = f"Votre commande {CMD} est confirmée"
CANCELLED = f"Votre commande {CMD} est annulée"
CORRECTED = f"Rectificatif : votre commande {CMD} est annulée"


def test_a_creation_sends_a_confirmation(harness: ServiceHarness, folder: Path) -> None:
    assert harness.hear(creee()) == sent("confirmation")
    assert subjects(folder) == [CONFIRMED]
    assert harness.inspect() == {"messages": {"confirmation": 1, "annulation": 0, "rectificatif": 0}}


def test_a_cancellation_is_sent_with_its_reason(harness: ServiceHarness, folder: Path) -> None:
    assert harness.hear(annulee(raison="délai dépassé")) == sent("annulation")
    assert subjects(folder) == [CANCELLED]
    (mail,) = mailbox_of(folder)
    assert "délai dépassé" in mail.get_content()


def test_after_a_confirmation_a_cancellation_is_a_correction(harness: ServiceHarness, folder: Path) -> None:
    harness.hear(creee())
    assert harness.hear(annulee()) == sent("rectificatif")
    assert subjects(folder) == [CORRECTED, CONFIRMED]


def test_a_creation_that_comes_after_its_cancellation_sends_nothing(harness: ServiceHarness, folder: Path) -> None:
    harness.hear(annulee())
    assert harness.hear(creee()) == []
    assert subjects(folder) == [CANCELLED]


def test_a_confirmation_that_may_have_been_sent_is_corrected(
    make_harness: MakeHarness, carrier: Maildir, folder: Path
) -> None:
    """The answer of the carrier was lost: a correction too many is better than a wrong confirmation."""
    harness = make_harness(SERVICE, externals=Reluctant(carrier, 1, after=True))
    harness.hear(creee(), tolerate=True)
    assert harness.hear(annulee()) == sent("rectificatif")
    assert subjects(folder) == [CORRECTED, CONFIRMED]


def test_a_creation_and_its_cancellation_in_one_group_end_in_a_cancellation(
    harness: ServiceHarness, folder: Path
) -> None:
    harness.hear(creee(), annulee())
    assert harness.said[-1] == "notification.envoyee"
    assert subjects(folder)[0] == CORRECTED


@pytest.mark.parametrize("after", [True, False])
def test_a_mail_is_in_the_mailbox_once_however_often_it_is_sent(
    make_harness: MakeHarness, carrier: Maildir, folder: Path, after: bool
) -> None:
    harness = make_harness(SERVICE, externals=Reluctant(carrier, 3, after=after))
    order = harness.enveloped(creee())
    for _ in range(3):
        assert harness.hear(order, tolerate=True) == []
    assert harness.hear(order) == sent("confirmation")
    assert subjects(folder) == [CONFIRMED]


def test_a_mail_that_was_read_is_not_delivered_again(
    make_harness: MakeHarness, carrier: Maildir, folder: Path
) -> None:
    harness = make_harness(SERVICE, externals=Reluctant(carrier, 1, after=True))
    order = harness.enveloped(creee())
    harness.hear(order, tolerate=True)
    (mail,) = (folder / "new").iterdir()
    mail.rename(folder / "cur" / f"{mail.name}:2,S")
    harness.hear(order)
    assert subjects(folder) == [CONFIRMED]


def test_a_repeated_event_sends_and_publishes_nothing(harness: ServiceHarness, folder: Path) -> None:
    order = harness.enveloped(creee())
    harness.hear(order, order)
    harness.hear(order, creee())
    assert harness.said == ["notification.envoyee"]
    assert subjects(folder) == [CONFIRMED]


STRANGE = ["../../x", "a b", 'q"uote', "é", "x" * 100, "a@b", "CMD\\1", "é" * 95, "a\xa0b", "a\u200bb"]


@pytest.mark.parametrize("commande_id", STRANGE)
def test_every_order_id_makes_a_valid_mail(harness: ServiceHarness, folder: Path, commande_id: str) -> None:
    (said,) = harness.hear(creee(commande_id))
    assert isinstance(said, NotificationEnvoyee)
    assert subjects(folder) == [" ".join(f"Votre commande {commande_id} est confirmée".split())]
    assert said.destinataire.endswith("@clients.invalid"), "to another domain it would be somebody else's"
    assert len(list((folder / "new").iterdir())) == 1
