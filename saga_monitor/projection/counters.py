"""Running totals for metrics and reports. Pure."""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from choregraphie import Reason
from choregraphie.saga.choreography import Choreography
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.analysis.saga_state import State, StepState, has_beginning
from saga_monitor.projection.durations import WHOLE
from saga_monitor.projection.evaluation import Evaluation
from saga_monitor.records.parser import Record

# Upper bounds of the histogram buckets (ms), from a fast step to one that waits for a person.
BOUNDS_MS = (
    *(5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000),
    *(300_000, 900_000, 3_600_000, 21_600_000, 86_400_000),
)

OUTCOMES = {State.COMPLETED: "completed", State.COMPENSATED: "compensated"}
_CREATED = {StepState.DONE, StepState.UNDONE}
_CANCELLED = {State.COMPENSATING, State.COMPENSATED}
# A reason is a metric label, so an arbitrary header value must not create new ones.
REASONS = frozenset({*(reason.value for reason in Reason), "delivery_limit", "rejected", "maxlen", "unknown"})
# How many keys without a beginning were forgotten because there were too many.
UNKNOWN_FORGOTTEN = "forgotten.unknown"

SagaCounts = Counter[tuple[str, str]]  # saga, name of the counter


def of_saga(saga: str | None, counts: Mapping[str, int]) -> SagaCounts:
    """`counts` as those of `saga`; None: of no saga."""
    return Counter({(saga or "", name): value for name, value in counts.items()})


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram of durations: the count per bucket of `BOUNDS_MS` plus one for longer ones, and the sum (ms)."""

    counts: tuple[int, ...]
    sum_ms: int

    @property
    def total(self) -> int:
        return sum(self.counts)

    def p99_ms(self) -> int | None:
        """The upper bound (ms) of the bucket with the 99th percentile; None without durations."""
        rank = self.total - self.total // 100
        for bound, count in zip(BOUNDS_MS, self.counts, strict=False):
            rank -= count
            if rank <= 0:
                return bound if self.total else None
        return BOUNDS_MS[-1]


def of_records(records: Iterable[Record]) -> Counter[str]:
    """What these records add to the totals."""
    counts: Counter[str] = Counter()
    for record in records:
        if isinstance(record, Retry):
            counts[f"retried.{record.service}"] += 1
        elif isinstance(record, DeadLetter):
            counts[f"dead_at.{record.service}.{bounded(record.reason)}"] += 1
    return counts


def of_instance(
    choreography: Choreography, before: Evaluation | None, now: Evaluation
) -> Iterator[tuple[str, int]]:
    """What an instance adds to the totals beyond what it counts for in its state; some only the first time."""
    if not has_beginning(now.state):
        return
    before = before if before and has_beginning(before.state) else None
    if before is None:
        yield "started", 1
    if before is None or (before.at_rest, before.remaining) != (now.at_rest, now.remaining):
        yield from _at_step(choreography, now, 1)
        yield from _at_step(choreography, before, -1)
    before_steps = before.steps if before else ()
    yield from _step_durations({step: (ms, back) for step, _, ms, back, _ in before_steps}, now)
    if _created(choreography, now.steps) and not _created(choreography, before_steps):
        yield "finished.completed", 1
    yield from _outcome_counts(before.state if before else None, now)


def _at_step(choreography: Choreography, one: Evaluation | None, value: int) -> Iterator[tuple[str, int]]:
    if one and not one.at_rest:
        for name in awaited_steps(choreography, one.at_rest, json.loads(one.remaining)):
            yield f"at_step.{name}", value


def _created(choreography: Choreography, steps: Iterable[Sequence[Any]]) -> bool:
    decision = choreography.decision
    return decision is not None and any(step == decision.name and state in _CREATED for step, state, *_ in steps)


def _step_durations(
    before: Mapping[str, tuple[int | None, int | None]], now: Evaluation
) -> Iterator[tuple[str, int]]:
    for step, _, now_ms, now_back, _ in now.steps:
        ms, back = before.get(step, (None, None))
        yield from _observe("step", step, ms, now_ms)
        yield from _observe("undo", step, back, now_back)


def _outcome_counts(before: str | None, now: Evaluation) -> Iterator[tuple[str, int]]:
    if now.state == State.COMPENSATED and before != State.COMPENSATED:
        yield "finished.compensated", 1
    if now.state in _CANCELLED and before not in _CANCELLED:
        yield "compensations", 1
    if now.state != before and now.state in OUTCOMES:
        yield from _observe("whole", OUTCOMES[State(now.state)], None, now.duration_ms)


def left_out(steps: Iterable[Sequence[Any]], state: str, duration_ms: int | None) -> Counter[str]:
    """How many durations of one instance are unknown because of a wrong clock; `steps`: as the file keeps them."""
    counts = Counter(f"left_out.{step[0]}" for step in steps if step[-1])
    if counts and duration_ms is None and state in OUTCOMES:
        counts[f"left_out.{WHOLE}"] += 1
    return counts


def awaited_steps(choreography: Choreography, at_rest: bool, remaining: Sequence[str]) -> list[str]:
    """The steps that an instance waits for now, by name: of each branch the one whose turn it is.

    An awaited type that is of no step stands under the name of its speaker.
    """
    now = () if at_rest else choreography.called_for(remaining)
    names = choreography.speaker_of | choreography.step_of
    return list(dict.fromkeys(names[type_] for type_ in now if type_ in names))


def histogram(counts: Mapping[str, int], name: str) -> Histogram:
    """The histogram kept in the counters under `name`: `step.stock`, `undo.stock`, `whole.completed`."""
    kind, _, of = name.partition(".")
    found = tuple(counts.get(f"{name}.{number}", 0) for number in range(len(BOUNDS_MS) + 1))
    return Histogram(found, counts.get(f"{kind}_sum.{of}", 0))


def bounded(reason: str) -> str:
    return reason if reason in REASONS else "other"


def _observe(kind: str, name: str, before: int | None, ms: int | None) -> Iterator[tuple[str, int]]:
    # Counted once, when the duration is first known: a total that shrinks would look like a restart.
    if before is None and ms is not None:
        # The first bucket whose bound is not below it, or the last bucket, for longer durations.
        yield f"{kind}.{name}.{bisect_left(BOUNDS_MS, ms)}", 1
        yield f"{kind}_sum.{name}", ms
