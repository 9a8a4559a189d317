"""Signatures of events: who said an event is proven by a key, whatever the broker lets pass. Off by default.

`SAGA_SIGNING=ed25519` turns them on. Nothing here is imported before.
"""

import datetime as dt
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from choregraphie.errors import BadSetting
from choregraphie.extras import needing
from choregraphie.settings import Settings

if TYPE_CHECKING:
    from choregraphie.signing.signature import Signer, Verifier

CLIENT, OPS = "client", "ops"


class BadSignature(Exception):
    """A message is not signed, or not by a key that is known. The text says why, in one line."""


def signer_for(settings: Settings, owner: str) -> "Signer | None":
    """What signs as `owner`: a service, CLIENT or OPS; None when signatures are off.

    Raises BadSetting when the private key cannot be used, MissingExtra without the extra `signing`.
    """
    if settings.signing == "off":
        return None
    with needing("signing"):
        from choregraphie.signing.signature import Signer
    from choregraphie.signing.key_files import KeyFiles

    files = KeyFiles.of(settings)
    return Signer(files.private(owner))


def verifier_for(settings: Settings) -> "Verifier | None":
    """What verifies signatures; None when they are off.

    Raises BadSetting when the public keys cannot be read, MissingExtra without the extra `signing`.
    """
    if settings.signing == "off":
        return None
    with needing("signing"):
        from choregraphie.signing.signature import Verifier
    from choregraphie.signing.key_files import KeyFiles

    return Verifier(KeyFiles.of(settings), dt.timedelta(days=settings.inbox_days))


def may_say(owner: str, speaker: str, source: str, *, came_back: bool) -> bool:
    """Whether the key of `owner` may sign an event of `speaker` with this source.

    Operators sign the answer that they give in place of a service, whose source names them, and a letter that they
    have edited, which comes back to one service alone.
    """
    return owner == speaker or (owner == OPS and (came_back or "/operators/" in source))


def unusable_keys(settings: Settings, owners: Iterable[str]) -> list[str]:
    """Why the private keys of `owners` that can be read here cannot be used, each in one line."""
    from choregraphie.signing.key_files import KeyFiles

    files, found = KeyFiles.of(settings), []
    for owner in owners:
        if os.access(files.private_file(owner), os.R_OK):
            try:
                files.private(owner)
            except BadSetting as error:
                found.append(str(error))
    return found
