"""Finds speakers whose clocks are wrong, and describes clock differences for a person. Pure.

An event dated before one that it answers, directly or indirectly, proves that one of the two clocks is wrong. The
smallest set of speakers that explains all such pairs is taken as wrong; among sets of equal size, the one without
which the rest of the events took the least time. When two sets explain the pairs equally well, neither is trusted.
Times of a wrong clock are not used for measurements.
"""

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from choregraphie.saga.choreography import Choreography
from choregraphie.terminal.formats import format_duration
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent, is_absurd

# Clocks kept by NTP differ by less than this. A smaller negative duration counts as zero.
ORDINARY_MS = 100
_ORDINARY = dt.timedelta(milliseconds=ORDINARY_MS)
# How a clock difference names the monitor's own clock.
MONITOR = "monitor"
CLIENT = "client"
# A smaller difference between an event and its cause is normal.
SKEW_MS = 1000
SKEW = dt.timedelta(milliseconds=SKEW_MS)
# An instance has about a dozen events. If a client never stops sending, the first events are enough.
_LOOKED_AT = 200


def without_wrong_clocks(saga: EventsOfSaga) -> tuple[EventsOfSaga, frozenset[str]]:
    """The same events without the times of speakers whose clocks are wrong, and these speakers."""
    wrong = wrong_clocks(saga)
    if not wrong:
        return saga, wrong
    return _without(saga, wrong), wrong


def _without(saga: EventsOfSaga, wrong: frozenset[str]) -> EventsOfSaga:
    events = (replace(event, time=None) if event.service in wrong else event for event in saga.events)
    return EventsOfSaga(saga.choreography, events)


def wrong_clocks(saga: EventsOfSaga) -> frozenset[str]:
    """The speakers whose clocks these events show to be wrong."""
    events = saga.events[:_LOOKED_AT]
    if not any((cause := saga.cause(event)) and is_before(event, cause) for event in events):
        return frozenset()
    pairs = {pair for event in events for pair in _contradicting(event, saga)}
    speakers = sorted({speaker for pair in pairs for speaker in pair})
    for size in range(1, len(speakers) + 1):
        found = [
            set(some) for some in itertools.combinations(speakers, size) if all(pair & {*some} for pair in pairs)
        ]
        if found:
            return _likeliest(found, events)
    return frozenset()


def _likeliest(found: Sequence[set[str]], events: Sequence[HeardEvent]) -> frozenset[str]:
    spans = [(_span_ms(events, wrong), sorted(wrong)) for wrong in found]
    least = min(span for span, _ in spans)
    # A wrong clock that is trusted makes the instance seem longer by its whole error.
    return frozenset(name for span, wrong in spans if span <= 2 * least + ORDINARY_MS for name in wrong)


def _span_ms(events: Sequence[HeardEvent], wrong: set[str]) -> float:
    times = [event.time for event in events if event.time and event.service not in wrong]
    return (max(times) - min(times)).total_seconds() * 1000 if times else 0.0


def _contradicting(event: HeardEvent, saga: EventsOfSaga) -> Iterator[frozenset[str]]:
    """The pairs of `event`'s speaker and each speaker that it answers, directly or not, with an earlier time."""
    cause, seen = saga.cause(event), {event.id}
    while cause is not None and cause.id not in seen:
        if is_before(event, cause):
            yield frozenset({event.service, cause.service})
        seen.add(cause.id)
        cause = saga.cause(cause)


def is_before(effect: HeardEvent, cause: HeardEvent) -> bool:
    """Whether `effect` is dated so far before its `cause` that one of two clocks is wrong."""
    if effect.time is None or cause.time is None or effect.service == cause.service:
        return False
    return cause.time - effect.time > _ORDINARY


def differing(choreography: Choreography, cause: HeardEvent, effect: HeardEvent) -> Iterator[tuple[str, str, int]]:
    """Yields (speaker ahead, speaker behind, difference in ms) when an event and its cause contradict in time."""
    if cause.time is None or effect.time is None or cause.service == effect.service:
        return
    ms = int((cause.time - effect.time).total_seconds() * 1000)
    if ms > SKEW_MS:
        yield cause.service, effect.service, ms
    elif is_absurd(choreography, cause.type, cause.time, effect.time):
        yield effect.service, cause.service, -ms


def sentence(key: str, ahead: str, behind: str, worst_ms: int) -> str:
    """Describes the difference between two clocks that `key` shows, and what to do about it."""
    apart = format_duration(worst_ms)
    if behind == MONITOR:
        said = f"what {ahead} says is dated {apart} later than it was read"
    elif ahead == MONITOR:
        said = f"what {behind} says is dated {apart} before it came"
    elif behind == CLIENT:
        said = f"what {behind} says is dated {apart} before {ahead} answered it"
    else:
        said = f"{behind} says it answered {ahead} {apart} before it was asked"
    return f"{key}: {said}: one clock is wrong; set those of {behind} and {ahead} by NTP"
