"""The trace context of a message: the headers `traceparent` and `tracestate` (W3C Trace Context, 3.2 and 3.3)."""

import re
from collections.abc import Mapping
from typing import NamedTuple

TRACEPARENT_HEADER = "traceparent"
TRACESTATE_HEADER = "tracestate"

# Version ff, and ids of zeros alone, are invalid.
_TRACEPARENT = re.compile("(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# What the standard asks everyone to pass on; a longer one may be dropped as a whole.
MOST_TRACESTATE = 512
_TRACESTATE = re.compile("[ -~\t]+")
# The whole header table must fit one frame.
_LONGEST_KEPT = 1000


class TraceContext(NamedTuple):
    """Which span created a message."""

    traceparent: str
    tracestate: str | None = None

    def headers(self) -> dict[str, str]:
        """The headers in which it travels."""
        return trace_headers(self.traceparent, self.tracestate)


def trace_headers(traceparent: str | None, tracestate: str | None) -> dict[str, str]:
    """The headers of a message with that context; none without a `traceparent`."""
    if not traceparent:
        return {}
    if not tracestate:
        return {TRACEPARENT_HEADER: traceparent}
    return {TRACEPARENT_HEADER: traceparent, TRACESTATE_HEADER: tracestate}


def received_context(headers: Mapping[str, object]) -> TraceContext | None:
    """The context in the headers of a message that anybody may have sent; None when there is no valid one.

    It is stored and published with every event that answers this one. A header that is too long, or that the
    database refuses, would block them all.
    """
    parent = headers.get(TRACEPARENT_HEADER)
    if not isinstance(parent, str) or not _TRACEPARENT.fullmatch(parent):
        return None
    state = headers.get(TRACESTATE_HEADER)
    usable = isinstance(state, str) and len(state) <= MOST_TRACESTATE and _TRACESTATE.fullmatch(state)
    return TraceContext(parent, str(state) if usable else None)


def kept_headers(headers: Mapping[str, object]) -> dict[str, str]:
    """The headers of the context for the same message when it is published again."""
    kept: dict[str, str] = {}
    if isinstance(parent := headers.get(TRACEPARENT_HEADER), str):
        kept[TRACEPARENT_HEADER] = parent[:_LONGEST_KEPT]
    # A part of it would be another one.
    if isinstance(state := headers.get(TRACESTATE_HEADER), str) and len(state) <= MOST_TRACESTATE:
        kept[TRACESTATE_HEADER] = state
    return kept
