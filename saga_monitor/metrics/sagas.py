"""What is counted of each saga: instances, durations, messages.

Every counter is exported from the first scrape on: one that appears with its first value shows no increase. A
message whose saga cannot be told is counted under an empty label.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import Metric

from choregraphie.saga.saga_set import SagaSet
from saga_monitor.analysis.saga_state import State
from saga_monitor.metrics.families import Labelled, counter, gauge, histograms
from saga_monitor.projection import counters
from saga_monitor.projection.counters import OUTCOMES, REASONS, Histogram, bounded, histogram
from saga_monitor.reports.report import PLACED_STATES

# The label of what belongs to no saga.
NONE = ""

Counts = Mapping[str, Mapping[str, int]]  # saga → name → count


def saga_metrics(sagas: SagaSet, counts: Counts) -> Iterator[Metric]:
    """The metrics of `sagas`; `counts`: the counters of each by its name, and of what belongs to none by NONE."""
    yield from _instances(sagas, counts)
    yield from _unknown(sagas, counts)
    yield from _times(sagas, counts)
    yield from _messages(sagas, counts)


def _instances(sagas: SagaSet, counts: Counts) -> Iterator[Metric]:
    about = "Instances seen for the first time."
    yield counter("saga_instances_started", about, ("saga",), _plain(sagas, counts, "started"))
    outcomes = [(outcome, f"finished.{outcome}") for outcome in OUTCOMES.values()]
    yield counter(
        "saga_instances_finished",
        "Instances that were completed, or cancelled and wholly undone (compensated).",
        ("saga", "outcome"),
        [((saga, outcome), counts[saga].get(name, 0)) for saga in sagas.by_name for outcome, name in outcomes],
    )
    about = "Instances that were cancelled."
    yield counter("saga_compensations", about, ("saga",), _plain(sagas, counts, "compensations"))
    states = [(state.lower(), f"state.{state}") for state in PLACED_STATES]
    yield gauge(
        "saga_instances",
        "Instances by the state that they are in.",
        ("saga", "state"),
        [((saga, state), counts[saga].get(name, 0)) for saga in sagas.by_name for state, name in states],
    )
    about = "Instances under way, by the step whose answer they wait for; one may wait for several."
    steps = [(saga.name, step.name) for saga in sagas for step in saga.steps]
    yield gauge("saga_instances_in_progress", about, ("saga", "step"), _named(counts, "at_step.", steps))


def _unknown(sagas: SagaSet, counts: Counts) -> Iterator[Metric]:
    yield gauge(
        "saga_unknown_instances",
        "Keys of which events were heard, but not the one that begins an instance.",
        ("saga",),
        _plain(sagas, counts, f"state.{State.UNKNOWN}"),
    )
    yield counter(
        "saga_unknown_instances_forgotten",
        "Keys without a beginning that were forgotten because there were too many.",
        ("saga",),
        _plain(sagas, counts, counters.UNKNOWN_FORGOTTEN),
    )


def _times(sagas: SagaSet, counts: Counts) -> Iterator[Metric]:
    yield histograms(
        "saga_instance_duration_seconds",
        "From an instance's beginning to its completion or, once cancelled, to the last undoing's answer.",
        ("saga", "outcome"),
        {
            (saga, outcome): histogram(counts[saga], f"whole.{outcome}")
            for saga in sagas.by_name
            for outcome in OUTCOMES.values()
        },
    )
    steps = [(saga.name, step.name) for saga in sagas for step in saga.steps]
    about = "From the event that calls for a step to its answer."
    yield histograms("saga_step_duration_seconds", about, ("saga", "step"), _of_steps(steps, counts, "step"))
    undoings = [(saga.name, step.name) for saga in sagas for step in saga.undoings]
    about = "From the cancellation to the answer that a step is undone."
    yield histograms("saga_undoing_duration_seconds", about, ("saga", "step"), _of_steps(undoings, counts, "undo"))


def _messages(sagas: SagaSet, counts: Counts) -> Iterator[Metric]:
    types = [(saga.name, event.TYPE) for saga in sagas for event in saga.events]
    yield counter("saga_events", "Events, each counted once.", ("saga", "type"), _named(counts, "said.", types))
    about = "Events that came again."
    yield counter("saga_events_repeated", about, ("saga",), _plain(sagas, counts, "duplicates"))
    services = [(saga.name, service) for saga in sagas for service in saga.services]
    services += [(NONE, service) for service in sagas.services]
    about = "Messages put back for another try."
    yield counter("saga_retries", about, ("saga", "service"), _named(counts, "retried.", services))
    letters = [(saga, service, reason) for saga, service in services for reason in (*REASONS, bounded(""))]
    about = "Messages set aside."
    yield counter("saga_dead_letters", about, ("saga", "service", "reason"), _named(counts, "dead_at.", letters))


def _plain(sagas: SagaSet, counts: Counts, name: str) -> Labelled:
    """One counter of each saga; of what belongs to none, when it was ever counted."""
    found = [((saga,), counts[saga].get(name, 0)) for saga in sagas.by_name]
    return found + ([((NONE,), counts[NONE][name])] if counts[NONE].get(name) else [])


def _of_steps(steps: Sequence[tuple[str, str]], counts: Counts, kind: str) -> Mapping[tuple[str, ...], Histogram]:
    return {(saga, step): histogram(counts[saga], f"{kind}.{step}") for saga, step in steps}


def _named(counts: Counts, prefix: str, known: Iterable[tuple[str, ...]]) -> Labelled:
    """The counters that begin with `prefix`, by their labels; 0 for the `known` ones that were never counted."""
    found: dict[tuple[str, ...], float] = dict.fromkeys(known, 0)
    for saga, counted in counts.items():
        for name, value in counted.items():
            if name.startswith(prefix):
                of = name.removeprefix(prefix)
                # An event type contains a dot; for dead letters a dot separates service and reason.
                labels = of.split(".", 1) if prefix == "dead_at." else [of]
                found[saga, *labels] = value
    return sorted(found.items())
