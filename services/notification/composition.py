"""Composes a message to a customer: its address, its Message-ID, its bytes. Pure.

`email` would parse every field of every message again, which takes a hundred times as long (docs/performance.md).
"""

import binascii
import hashlib
from collections.abc import Iterator

SENDER = "boutique@choregraphie.invalid"
LONGEST_LOCAL_PART = 64  # RFC 5321, 4.5.3.1.1
LONGEST_ADDRESS = 100  # what `notification.envoyee` has room for
# In base64 they fill a line of 76 characters, RFC 2047's limit, beside "Subject: =?utf-8?b?" and "?=".
BYTES_OF_AN_ENCODED_WORD = 39

# ASCII alone, so a server without 8BITMIME takes it too.
_MESSAGE = (
    f"From: {SENDER}\r\n"
    "To: {address}\r\n"
    "Subject: {subject}\r\n"
    "Message-ID: <{digest}@choregraphie.invalid>\r\n"
    'Content-Type: text/plain; charset="utf-8"\r\n'
    "Content-Transfer-Encoding: quoted-printable\r\n"
    "MIME-Version: 1.0\r\n"
    "\r\n"
).format


def destinataire(commande_id: str, domaine: str) -> str:
    """The relay address of an order's customer: the order's id at the mail domain.

    Events carry no personal address; the mail domain resolves this one. An id that is not valid as the local part
    of an address, or too long for one, is replaced by its digest.
    """
    plain = commande_id.isascii() and commande_id.replace("-", "").replace("_", "").isalnum()
    fits = len(commande_id) <= LONGEST_LOCAL_PART and len(f"{commande_id}@{domaine}") <= LONGEST_ADDRESS
    return f"{commande_id if plain and fits else digest(commande_id)[:32]}@{domaine}"


def digest(cle: str) -> str:
    """40 hexadecimal digits that identify a message by its key."""
    return hashlib.sha256(cle.encode()).hexdigest()[:40]


def compose(cle: str, address: str, objet: str, texte: str) -> bytes:
    """The message as it is sent and stored (RFC 5322). `address` is of `destinataire`.

    White space in `objet` becomes single spaces; every end of a line in `texte` becomes CRLF.
    """
    head = _MESSAGE(address=address, subject=_encoded(" ".join(objet.split())), digest=digest(cle))
    # The ends of lines as bytes: `str.splitlines` would also split at U+0085 and others.
    lines = b"\r\n".join(texte.encode().splitlines())
    return head.encode("ascii") + binascii.b2a_qp(lines + b"\r\n")


def _encoded(text: str) -> str:
    """`text` as the value of a field: encoded words of RFC 2047. They hold no control character and no field."""
    words = (binascii.b2a_base64(piece, newline=False).decode() for piece in _pieces(text.encode()))
    return "\r\n ".join(f"=?utf-8?b?{word}?=" for word in words)


def _pieces(text: bytes) -> Iterator[bytes]:
    """`text` in pieces of whole characters: each encoded word is read by itself."""
    while text:
        end = BYTES_OF_AN_ENCODED_WORD
        while len(text) > end and text[end] & 0xC0 == 0x80:  # in the middle of a character
            end -= 1
        yield text[:end]
        text = text[end:]
