"""A message as bytes: `email` reads back what was given, as it does from a message that `email` made itself."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.notification import Modele
from services.notification import rules
from services.notification.composition import SENDER, compose, destinataire, digest

ADDRESS = "CMD-1@clients.invalid"
FIELDS = ["From", "To", "Subject", "Message-ID", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"]
CHARACTERS = '\r\0\t\x0c\x1b\x85\u2028\u202e\u0301\xa0 .=<"é日😀'
WORDS = ["\r\nBcc: eve@example.org", "\r\n.\r\n", "\n\n", "From ", "=?utf-8?q?x?=", "?=", "\x1b[2J", "x" * 80]
HOSTILE = st.sampled_from([*CHARACTERS, *WORDS])
TEXTS = st.lists(HOSTILE | st.text(st.characters(codec="utf-8"), max_size=20), max_size=30).map("".join)


def made_by_email(cle: str, objet: str, texte: str) -> bytes:
    """The same message, composed with the standard library."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = SENDER
    mail["To"] = ADDRESS
    mail["Subject"] = " ".join(objet.split())
    mail["Message-ID"] = f"<{digest(cle)}@choregraphie.invalid>"
    mail.set_content(texte)
    return mail.as_bytes()


def parsed(message: bytes) -> EmailMessage:
    mail = message_from_bytes(message, policy=default)
    assert isinstance(mail, EmailMessage)
    return mail


def lines(mail: EmailMessage) -> list[str]:
    return str(mail.get_content()).removesuffix("\r\n").split("\r\n")


@given(cle=TEXTS, objet=TEXTS, texte=TEXTS)
def test_what_was_given_is_what_is_read(cle: str, objet: str, texte: str) -> None:
    mail = parsed(compose(cle, ADDRESS, objet, texte))
    assert mail.keys() == FIELDS
    assert (mail["From"], mail["To"], mail["Subject"]) == (SENDER, ADDRESS, " ".join(objet.split()))
    assert mail["Message-ID"] == f"<{digest(cle)}@choregraphie.invalid>"
    assert mail.get_content().encode() == b"".join(line + b"\r\n" for line in texte.encode().splitlines() or [b""])
    assert (mail.get_content_type(), mail.get_content_charset()) == ("text/plain", "utf-8")
    assert not any([mail.defects, *(value.defects for value in mail.values())])


@given(cle=TEXTS, objet=TEXTS, texte=TEXTS)
def test_a_reader_sees_what_it_sees_in_a_message_that_email_made(cle: str, objet: str, texte: str) -> None:
    assume("=?" not in objet)  # email leaves that as it is, and readers decode it
    ours, theirs = parsed(compose(cle, ADDRESS, objet, texte)), parsed(made_by_email(cle, objet, texte))
    assert sorted(ours) == sorted(theirs)
    for name in ("From", "To", "Message-ID", "Content-Type", "MIME-Version"):
        assert ours[name] == theirs[name]
    # Where email folds a long line it sometimes adds a space.
    assert "".join(ours["Subject"].split()) == "".join(theirs["Subject"].split())
    assert lines(ours) == lines(theirs)


@given(cle=TEXTS, objet=TEXTS, texte=TEXTS)
def test_any_server_takes_the_bytes(cle: str, objet: str, texte: str) -> None:
    """ASCII, lines that end with CRLF and are short (RFC 5322, 2.1.1), encoded words that fit (RFC 2047, 2)."""
    raw = compose(cle, ADDRESS, objet, texte)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert raw.isascii()
    assert raw.endswith(b"\r\n")
    assert not {b"\r", b"\n", b"\0"} & {bytes([byte]) for byte in raw.replace(b"\r\n", b"")}
    subject = head[head.index(b"Subject:") : head.index(b"\r\nMessage-ID:")]
    assert max(map(len, subject.split(b"\r\n"))) <= 76
    assert max(map(len, body.split(b"\r\n"))) <= 78


@given(commande_id=TEXTS, domaine=st.from_regex(r"[A-Za-z0-9.-]{1,64}", fullmatch=True))
def test_an_address_is_one_plain_word(commande_id: str, domaine: str) -> None:
    address = destinataire(commande_id, domaine)
    assert address.isascii()
    assert address.isprintable()
    assert not {*' ,;:<>()[]\\"'} & {*address}
    assert (address.count("@"), len(address) <= 100) == (1, True)


@pytest.mark.parametrize("modele", ["confirmation", "annulation", "rectificatif"])
def test_the_messages_of_the_shop_are_readable_as_they_are(modele: Modele) -> None:
    texte = rules.texte(modele, "CMD-1", "délai dépassé")
    raw = compose("key", ADDRESS, rules.objet(modele, "CMD-1"), texte)
    assert b"Bonjour,\r\n" in raw
    assert parsed(raw)["Subject"] == rules.objet(modele, "CMD-1")
    assert parsed(raw).get_content() == texte.replace("\n", "\r\n")
