"""The ids of events and things: UUIDs that begin with a time, so that the ids of one moment are neighbours.

With random ids, each row of a group changes pages of its own in the indexes of the services and of the monitor.
The rows of neighbours share pages (docs/performance.md).
"""

import datetime as dt
import hashlib
import os
import uuid
from functools import lru_cache

_NAMESPACE = uuid.UUID("6f0f3a1e-6c8e-5d0a-9b7e-3f5f0d3c1a52").bytes
_VARIANTS = "89ab"


def new_id(time: dt.datetime) -> str:
    """A new id of that time: a UUID of version 7 (RFC 9562, 5.7)."""
    return _written(_milliseconds(time) + os.urandom(10).hex(), "7")


def derived_id(*parts: str, time: dt.datetime | None = None) -> str:
    """An id derived from the arguments alone, so that executing something again gives the same ids.

    A UUID of version 8 (RFC 9562, 5.8), which begins with `time`; without one, of version 5.
    """
    digest = hashlib.sha1(_NAMESPACE + "\x1f".join(parts).encode(), usedforsecurity=False).hexdigest()
    return _written(digest, "5") if time is None else _written(_milliseconds(time) + digest[12:], "8")


@lru_cache(maxsize=1)  # a reaction derives several ids from one time
def _milliseconds(time: dt.datetime) -> str:
    """Since 1970, as 12 digits; what a client gives as the time of an event may be before."""
    return f"{max(0, int(time.timestamp() * 1000)):012x}"


def _written(digits: str, version: str) -> str:
    # Without a UUID object, whose creation takes most of the time.
    variant = _VARIANTS[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-{version}{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"
