"""Finds speakers whose clock is proved wrong by the events of an order; such a clock measures nothing. Pure.

An event that is dated before one that it answers, directly or through others, proves that one of their two clocks
is wrong. Which one: the fewest speakers whose clocks explain every such pair and, among as few, those without whom
the rest of the order took the least time. Where two explanations are as good, neither clock is believed.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from choregraphie.terminal.formats import format_duration
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent, is_absurd

# Clocks that are set by NTP differ by less. Below it, an answer that seems to come before its cause took no time.
ORDINARY_MS = 100
# An order has some dozen events; of one that is fed for ever, the beginning shows whose clock is wrong.
_LOOKED_AT = 200


def without_wrong_clocks(heard: EventsOfSaga) -> tuple[EventsOfSaga, frozenset[str]]:
    """The same events, without the times of the speakers whose clocks are wrong; and who these speakers are."""
    wrong = wrong_clocks(heard)
    if not wrong:
        return heard, wrong
    return EventsOfSaga(replace(e, time=None) if e.service in wrong else e for e in heard.events), wrong


def wrong_clocks(heard: EventsOfSaga) -> frozenset[str]:
    """The speakers whose clocks these events show to be wrong."""
    events = heard.events[:_LOOKED_AT]
    if not any((cause := heard.cause(event)) and _before(event, cause) for event in events):
        return frozenset()
    pairs = {pair for event in events for pair in _contradicting(event, heard)}
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
    # A wrong clock that stays in makes the order seem longer by all that it is off.
    return frozenset(name for span, wrong in spans if span <= 2 * least + ORDINARY_MS for name in wrong)


def _span_ms(events: Sequence[HeardEvent], wrong: set[str]) -> float:
    times = [event.time for event in events if event.time and event.service not in wrong]
    return (max(times) - min(times)).total_seconds() * 1000 if times else 0.0


def _contradicting(event: HeardEvent, heard: EventsOfSaga) -> Iterator[frozenset[str]]:
    """The speaker with each of those whom it answers, however far back, and says to have answered before."""
    cause, seen = heard.cause(event), {event.id}
    while cause is not None and cause.id not in seen:
        if _before(event, cause):
            yield frozenset({event.service, cause.service})
        seen.add(cause.id)
        cause = heard.cause(cause)


def _before(effect: HeardEvent, cause: HeardEvent) -> bool:
    if effect.time is None or cause.time is None or effect.service == cause.service:
        return False
    return (cause.time - effect.time).total_seconds() * 1000 > ORDINARY_MS


# The monitor's own clock, where it is one of the two.
MONITOR = "monitor"
CLIENT = "client"
# An event before its cause by less than this may be two clocks' ordinary disagreement.
SKEW_MS = 1000


def differing(cause: HeardEvent, effect: HeardEvent) -> Iterator[tuple[str, str, int]]:
    """Whose clock the times of the two, of which one answers the other, show to be ahead, whose behind (ms)."""
    if cause.time is None or effect.time is None or cause.service == effect.service:
        return
    ms = int((cause.time - effect.time).total_seconds() * 1000)
    if ms > SKEW_MS:
        yield cause.service, effect.service, ms
    elif is_absurd(cause.type, cause.time, effect.time):
        yield effect.service, cause.service, -ms


def sentence(commande_id: str, ahead: str, behind: str, worst_ms: int) -> str:
    """What `commande_id` shows of the clocks of `ahead` and `behind`, and what to do."""
    apart = format_duration(worst_ms)
    if behind == MONITOR:
        said = f"what {ahead} says is dated {apart} later than it was read"
    elif ahead == MONITOR:
        said = f"what {behind} says is dated {apart} before it came"
    elif behind == CLIENT:
        said = f"what {behind} says is dated {apart} before {ahead} answered it"
    else:
        said = f"{behind} says it answered {ahead} {apart} before it was asked"
    return f"{commande_id}: {said}: one clock is wrong; set those of {behind} and {ahead} by NTP"
