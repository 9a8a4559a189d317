"""Whether an entry of the history has the signature that its speaker must have given it."""

from typing import TYPE_CHECKING

from choregraphie.messaging import HistoryEntry
from choregraphie.signing import OPS, BadSignature, may_say

if TYPE_CHECKING:
    from choregraphie.signing.signature import Verifier

# Why an event, or the record of an act, is ignored.
UNSIGNED, UNSIGNED_RECORD = "unsigned", "unsigned_record"


def is_signed(
    verifier: "Verifier | None", entry: HistoryEntry, envelope: bytes, speaker: str, source: str
) -> bool:
    """As the services judge it, but for its age: the history may be read again at any time.

    Without a verifier nothing is signed, and everything is believed.
    """
    if verifier is None:
        return True
    try:
        return may_say(verifier.check_event(envelope, entry.headers), speaker, source, came_back=False)
    except BadSignature:
        return False


def is_signed_record(verifier: "Verifier | None", entry: HistoryEntry) -> bool:
    """The same of the record of an act: an operator has signed it."""
    if verifier is None:
        return True
    try:
        return verifier.check_record(entry.body, entry.headers) == OPS
    except BadSignature:
        return False
