"""Evaluates many instances. Those whose events differ only in ids and times are judged once. Pure.

Most instances take one of a few dozen ways, so that all but their times is already known. Without this memory,
reading a history takes 1.6 times as long: docs/performance.md.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter

from choregraphie.saga.choreography import Choreography
from saga_monitor.analysis.clocks import is_before
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.analysis.saga_state import Outline, Progress, evaluate, outline_of, timed_progress

# More ways than instances commonly take, in about 5 MB. The oldest is forgotten first.
OUTLINES_KEPT = 2000
# Nor is a way kept that only a client which never stops sending would take.
LONGEST_SHAPE = 50

# Per event, in the order of the stream: type, speaker, cause, decision, whether nothing was undone.
Shape = tuple[tuple[str, str, int | None, str | None, bool], ...]

_offset = attrgetter("offset")


class Evaluations:
    """`evaluate`, with a memory of the outlines of earlier instances."""

    def __init__(self) -> None:
        self._outlines: dict[tuple[str, Shape], Outline] = {}

    def __len__(self) -> int:
        return len(self._outlines)

    def evaluate(
        self,
        choreography: Choreography,
        events: Iterable[HeardEvent],
        set_aside: Sequence[DeadLetter] = (),
        retried: Sequence[Retry] = (),
    ) -> Progress:
        """As `saga_state.evaluate`."""
        ordered = sorted(events, key=_offset)
        shape = None if set_aside else shape_of(ordered)
        if shape is None:
            return evaluate(choreography, ordered, set_aside, retried)
        outline = self._outlines.get((choreography.name, shape)) or self._learn(choreography, shape, ordered)
        if any(is_before(ordered[effect], ordered[cause]) for effect, cause in outline.effects):
            return evaluate(choreography, ordered)  # a clock is wrong: times decide which
        return timed_progress(choreography, outline, ordered)

    def _learn(self, choreography: Choreography, shape: Shape, ordered: Sequence[HeardEvent]) -> Outline:
        if len(self._outlines) >= OUTLINES_KEPT:
            del self._outlines[next(iter(self._outlines))]
        outline = self._outlines[choreography.name, shape] = outline_of(EventsOfSaga(choreography, ordered))
        return outline


def shape_of(ordered: Sequence[HeardEvent]) -> Shape | None:
    """What the evaluation of these events depends on, beside their times and what was set aside.

    An id counts only in that it is another event's cause. None where ids or offsets occur twice, for then sources
    and times count too.
    """
    places = {event.id: place for place, event in enumerate(ordered)}
    distinct = len(ordered) == len(places) == len({event.offset for event in ordered})
    if not distinct or len(ordered) > LONGEST_SHAPE:
        return None
    for event in ordered:
        if event.causationid:
            # A cause that was not heard: events that name the same one still answer the same one.
            places.setdefault(event.causationid, -len(places) - 1)
    return tuple(
        [
            (e.type, e.service, places[e.causationid] if e.causationid else None, e.decides, e.nothing)
            for e in ordered
        ]
    )
