"""Signs what is published and verifies what is received: Ed25519 over the envelope, in one scalar header.

    x-saga-signature: ed25519 KEYID BASE64

Covered is the whole envelope: in structured mode the body, byte by byte, in binary mode attributes and body. So
id, type, source, key, time and data cannot be changed or put together anew. Exchange and routing key are not
covered: a reader compares both with the type. Neither are our own headers, which change on the way, and the trace.
"""

import base64
import binascii
import datetime as dt
import re
import time
from collections.abc import Mapping

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from choregraphie.errors import BadSetting
from choregraphie.messaging import Outgoing
from choregraphie.saga.content_modes import envelope_bytes
from choregraphie.saga.topology import OPERATORS, SIGNATURE_HEADER, is_of_first_delivery
from choregraphie.signing import BadSignature
from choregraphie.signing.key_files import KeyFiles, key_id

log = structlog.get_logger()

# Before the signed bytes, so that a signature of one kind is none of another.
_EVENT, _RECORD = b"choregraphie event 1\n", b"choregraphie record 1\n"
_FORM = re.compile(r"ed25519 (?P<id>[0-9a-f]{16}) (?P<signature>[A-Za-z0-9+/]{86}==)")
# How often the public keys are read again while messages come: after this time at the latest a new key is known,
# and one that was taken away is refused.
READ_AGAIN_SECONDS = 10.0


class Signer:
    """Signs with one private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._id = key_id(key.public_key())

    def sign(self, message: Outgoing) -> Outgoing:
        """The message with its signature; an earlier one is replaced."""
        signature = self._key.sign(_signed_bytes(message))
        header = f"ed25519 {self._id} {base64.b64encode(signature).decode()}"
        return message._replace(headers={**message.headers, SIGNATURE_HEADER: header})

    def sign_own(self, message: Outgoing) -> Outgoing:
        """The same for an event or a record of an operator; any other message passes with what it has."""
        own = message.exchange == OPERATORS or is_of_first_delivery(message.exchange)
        return self.sign(message) if own else message


class Verifier:
    """Verifies with the public keys of a folder, which it reads again from time to time."""

    def __init__(self, files: KeyFiles, longest_age: dt.timedelta) -> None:
        """`longest_age`: how long services remember what they have handled. Raises BadSetting."""
        self._files = files
        self._longest_age = longest_age
        self._keys = files.public()
        self._read_at = time.monotonic()

    @property
    def owners(self) -> frozenset[str]:
        """Who has a public key."""
        return frozenset(owner for owner, _ in self._keys.values())

    def check_event(self, envelope: bytes, headers: Mapping[str, object]) -> str:
        """The owner of the key that signed the event. Raises BadSignature."""
        return self._check(_EVENT + envelope, headers)

    def check_record(self, body: bytes, headers: Mapping[str, object]) -> str:
        """The owner of the key that signed the record of an act. Raises BadSignature."""
        return self._check(_RECORD + body, headers)

    def check_age(self, said_at: dt.datetime | None) -> None:
        """Raises BadSignature for an event that may be sent again after its service has forgotten it."""
        if said_at is None:
            raise BadSignature("it has no time, so nobody can tell an old event that is sent again")
        if dt.datetime.now(dt.UTC) - said_at > self._longest_age:
            raise BadSignature("it was said longer ago than SAGA_INBOX_DAYS: it may be an old event sent again")

    def _check(self, signed: bytes, headers: Mapping[str, object]) -> str:
        header = headers.get(SIGNATURE_HEADER)
        if header is None:
            raise BadSignature("it is not signed")
        form = _FORM.fullmatch(header) if isinstance(header, str) else None
        if form is None:
            raise BadSignature("its signature cannot be read")
        self._read_keys_again()
        if form["id"] not in self._keys:
            raise BadSignature(f"no public key here has the id {form['id']}")
        owner, key = self._keys[form["id"]]
        try:
            key.verify(base64.b64decode(form["signature"], validate=True), signed)
        except (InvalidSignature, binascii.Error):
            raise BadSignature("its signature does not match: it was altered or forged") from None
        return owner

    def _read_keys_again(self) -> None:
        if time.monotonic() - self._read_at < READ_AGAIN_SECONDS:
            return
        self._read_at = time.monotonic()
        try:
            self._keys = self._files.public()
        except BadSetting as error:
            log.warning("signing.keys_reload_failed", error=str(error))


def _signed_bytes(message: Outgoing) -> bytes:
    if message.exchange == OPERATORS:
        return _RECORD + message.body
    return _EVENT + envelope_bytes(message.headers, message.properties.content_type, message.body)
