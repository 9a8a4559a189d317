"""Running totals for metrics and reports. Pure."""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from choregraphie import Reason
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.analysis.saga_state import Progress, State, StepState, has_beginning
from saga_monitor.records.parser import Record

# Upper bounds of the histogram buckets (ms), from a fast step to one that waits for a person.
BOUNDS_MS = (
    *(5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000),
    *(300_000, 900_000, 3_600_000, 21_600_000, 86_400_000),
)

OUTCOMES = {State.COMPLETED: "completed", State.COMPENSATED: "compensated"}
_UNDECIDED = {State.NEW, State.RUNNING, State.FAILED}
_CREATED = {StepState.DONE, StepState.UNDONE}
_CANCELLED = {State.COMPENSATING, State.COMPENSATED}
# A reason is a metric label, so an arbitrary header value must not create new ones.
REASONS = frozenset({*(reason.value for reason in Reason), "delivery_limit", "rejected", "expired", "maxlen"})
# How many keys without a beginning were forgotten because there were too many.
UNKNOWN_FORGOTTEN = "forgotten.unknown"


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


def of_order(previous: Sequence[Any] | None, progress: Progress) -> Iterator[tuple[str, int]]:
    """What an order adds to the totals; `previous`: its previous evaluation, as the file keeps it."""
    if not has_beginning(progress.state):
        return
    previous = previous if previous and has_beginning(previous[0]) else None
    if previous is None:
        yield "started", 1
    for name in awaited_services(progress.state, progress.at_rest, progress.remaining):
        yield f"at_step.{name}", 1
    if previous:
        for name in awaited_services(State(previous[0]), bool(previous[2]), json.loads(previous[4])):
            yield f"at_step.{name}", -1
    previous_state, previous_steps = (previous[0], previous[3]) if previous else (None, [])
    yield from _step_durations({step: (ms, back) for step, _, ms, back, _ in previous_steps}, progress)
    yield from _outcome_counts(previous_state, {step: state for step, state, *_ in previous_steps}, progress)


def _step_durations(
    before: Mapping[str, tuple[int | None, int | None]], progress: Progress
) -> Iterator[tuple[str, int]]:
    for step in progress.steps:
        ms, back = before.get(step.step, (None, None))
        yield from _observe("step", step.step, ms, step.duration_ms)
        yield from _observe("undo", step.step, back, step.undoing_ms)


def _outcome_counts(
    previous_state: str | None, previous_steps: Mapping[str, str], progress: Progress
) -> Iterator[tuple[str, int]]:
    created = any(step.step == CHOREOGRAPHY.decider and step.state in _CREATED for step in progress.steps)
    if created and previous_steps.get(CHOREOGRAPHY.decider) not in _CREATED:
        yield "finished.completed", 1
    if progress.state is State.COMPENSATED and previous_state != State.COMPENSATED:
        yield "finished.compensated", 1
    if progress.state in _CANCELLED and previous_state not in _CANCELLED:
        yield "compensations", 1
    if progress.state != previous_state and progress.state in OUTCOMES:
        yield from _observe("order", OUTCOMES[progress.state], None, progress.duration_ms)


def left_out(steps: Iterable[Sequence[Any]], state: str, duration_ms: int | None) -> Counter[str]:
    """How many durations of one order are unknown because of a wrong clock; `steps`: as the file keeps them."""
    counts = Counter(f"left_out.{step[0]}" for step in steps if step[-1])
    if counts and duration_ms is None and state in OUTCOMES:
        counts["left_out.order"] += 1
    return counts


def awaited_services(state: State, at_rest: bool, remaining: Sequence[str]) -> list[str]:
    """The services that an order waits for: one before the decision, afterwards all that have not answered it."""
    if at_rest:
        return []
    now = remaining[:1] if state in _UNDECIDED or CHOREOGRAPHY.cancelled.TYPE in remaining[:1] else remaining
    speaker_of = CHOREOGRAPHY.speaker_of
    return list(dict.fromkeys(speaker_of[type_] for type_ in now if type_ in speaker_of))


def histogram(counts: Mapping[str, int], name: str) -> Histogram:
    """The histogram kept in the counters under `name`: `step.stock`, `undo.stock`, `order.completed`."""
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
