"""Reads the folder of the mail carrier: what has left for the customers, whatever the books say."""

from __future__ import annotations

import email
import email.policy
from typing import TYPE_CHECKING

from scripts.nemesis.history import Mail

if TYPE_CHECKING:
    from pathlib import Path

# The subject says which of the three it is; the correction speaks of a cancellation too, so it comes first.
SUBJECTS = {"rectificatif": "rectificatif", "confirmée": "confirmation", "annulée": "annulation"}


def read_mails(folder: Path) -> tuple[Mail, ...]:
    """Every message that was handed over, read or unread. A customer's address begins with the order's id."""
    files = [file for part in ("new", "cur") if (folder / part).is_dir() for file in (folder / part).iterdir()]
    return tuple(_mail(file.read_bytes()) for file in sorted(files))


def _mail(body: bytes) -> Mail:
    message = email.message_from_bytes(body, policy=email.policy.default)
    subject = str(message["Subject"]).lower()
    modele = next((modele for word, modele in SUBJECTS.items() if word in subject), subject)
    return Mail(str(message["To"]).partition("@")[0], modele)
