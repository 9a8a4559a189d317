"""Describes what the monitor cannot know of the history: entries lost unread, a stream that is too short. Pure."""

import datetime as dt

from choregraphie.saga.topology import HISTORY
from saga_monitor.projection.gaps import Gap, Loss

_KEEP_MORE = "raise SAGA_HISTORY_MAX_BYTES and SAGA_HISTORY_MAX_AGE (a policy, where the stream exists already)"
_LOOK = "what stands in the services' own databases is the truth: `python -m services journal --open`"


def what_was_lost(gap: Gap) -> str:
    """One sentence without what to do."""
    if gap.loss is Loss.BEGINNING:
        return (
            f"the stream {HISTORY} begins at entry {gap.offset}{_at(gap.until)}, where this monitor's file begins"
            " too: what was said before is not known"
        )
    if gap.loss is Loss.REPLACED:
        return (
            f"the stream {HISTORY} was deleted, emptied or restored{_span(gap)}: whatever was said on the old one"
            " and had not been read, or is not said again, is not known"
        )
    what = "1 event was" if gap.lost == 1 else f"{gap.lost} events were"
    return f"{what} lost unread: the stream {HISTORY} was trimmed past what this monitor had read{_span(gap)}"


def remedy(gap: Gap) -> str:
    """What to do about it."""
    keep = f"{_KEEP_MORE}, " if gap.loss is Loss.TRIMMED else ""
    return f"{keep}{_LOOK}; then `python -m saga_monitor anomalies --acknowledge`"


def kept_too_short(begins: dt.datetime, needed: dt.datetime, why: str) -> str:
    return (
        f"the stream {HISTORY} was trimmed and begins at {_clock(begins)}, and {why} of {_clock(needed)} on is"
        f" needed: a monitor that begins now would not know all; {_KEEP_MORE}"
    )


def _span(gap: Gap) -> str:
    if gap.after and gap.until:
        return f", between {_clock(gap.after)} and {_clock(gap.until)}"
    if gap.after:
        return f", after {_clock(gap.after)}"
    return f", before {_clock(gap.until)}" if gap.until else ""


def _at(time: dt.datetime | None) -> str:
    return f" of {_clock(time)}" if time else ""


def _clock(time: dt.datetime) -> str:
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
