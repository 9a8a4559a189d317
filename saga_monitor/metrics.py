"""The Prometheus metrics of the monitor, read from its file at each scrape, so that a restart loses nothing.

When the file is deleted, or rebuilt because the stream was replaced, the counters begin at 0 again. Prometheus
takes that for a restart, and counts what is read again as an increase. Alert notices are counted since the process
began. No label holds an order's id, because there are as many ids as orders.

Every counter is exported from the first scrape on: one that appears with its first value shows no increase.
"""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.alerting.watcher import AlertWatcher, View
from saga_monitor.analysis.saga_state import State
from saga_monitor.diagnosis.anomalies import Anomaly, Kind
from saga_monitor.diagnosis.causes import Reason
from saga_monitor.projection import counters
from saga_monitor.projection.counters import BOUNDS_MS, OUTCOMES, REASONS, Histogram, bounded, histogram
from saga_monitor.projection.queries import Queries
from saga_monitor.reports.report import PLACED_STATES

_WHYS = ("unreadable", "unknown", "untrusted", "excess")
_Labelled = Iterable[tuple[tuple[str, ...], float]]


class MonitorMetrics(Collector):
    """`watcher`: its latest view gives the anomalies and the state of the broker."""

    def __init__(self, queries: Queries, watcher: AlertWatcher) -> None:
        self._queries = queries
        self._watcher = watcher

    def describe(self) -> Iterable[Metric]:
        """Empty, because registering must not read the file."""
        return []

    def collect(self) -> Iterator[Metric]:
        totals = self._queries.totals(dt.datetime.now(dt.UTC))
        yield from _orders(totals.counts)
        yield from _unknown(totals.counts)
        yield from _times(totals.counts)
        yield from _messages(totals.counts)
        yield from _anomalies(self._watcher.view)
        yield from _freshness(self._watcher.view, self._queries.as_of())
        yield _counter(
            "saga_alert_notices",
            "Notices of alerts, by receiver and what became of them.",
            ("receiver", "outcome"),
            sorted(self._watcher.dispatcher.outcome_counts().items()),
        )


def registry(queries: Queries, watcher: AlertWatcher) -> CollectorRegistry:
    """A registry that holds only the monitor's metrics."""
    own = CollectorRegistry(auto_describe=False)
    own.register(MonitorMetrics(queries, watcher))
    return own


def exposition(own: CollectorRegistry) -> tuple[bytes, str]:
    """The answer to a scrape and its content type."""
    return generate_latest(own), CONTENT_TYPE_PLAIN_0_0_4


class MetricsPage:
    """The metrics as an ASGI application for GET and HEAD."""

    def __init__(self, own: CollectorRegistry) -> None:
        self._own = own

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        allowed = scope["method"] in {"GET", "HEAD"}
        # On a thread, because reading the file may be slow and would block other requests.
        body, kind = await asyncio.to_thread(exposition, self._own) if allowed else (b"", "text/plain")
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200 if allowed else 405, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _orders(counts: Mapping[str, int]) -> Iterator[Metric]:
    yield _counter("saga_orders_started", "Orders seen for the first time.", (), [((), counts.get("started", 0))])
    yield _counter(
        "saga_orders_finished",
        "Orders that were created (completed), or cancelled and wholly undone (compensated).",
        ("outcome",),
        [((outcome,), counts.get(f"finished.{outcome}", 0)) for outcome in OUTCOMES.values()],
    )
    yield _counter("saga_compensations", "Orders that were cancelled.", (), [((), counts.get("compensations", 0))])
    yield _gauge(
        "saga_orders",
        "Orders by the state that they are in.",
        ("state",),
        [((state.lower(),), counts.get(f"state.{state}", 0)) for state in PLACED_STATES],
    )
    yield _gauge(
        "saga_orders_in_progress",
        "Orders under way, by the step whose answer they wait for; a cancelled one may wait for several.",
        ("step",),
        [((step,), counts.get(f"at_step.{step}", 0)) for step in CHOREOGRAPHY.services],
    )


def _unknown(counts: Mapping[str, int]) -> Iterator[Metric]:
    yield _value(
        "saga_unknown_orders",
        "Keys of which events were heard, but not the one that begins an order.",
        counts.get(f"state.{State.UNKNOWN}", 0),
    )
    yield _counter(
        "saga_unknown_orders_forgotten",
        "Keys without a beginning that were forgotten because there were too many.",
        (),
        [((), counts.get(counters.UNKNOWN_FORGOTTEN, 0))],
    )


def _times(counts: Mapping[str, int]) -> Iterator[Metric]:
    yield _histogram(
        "saga_order_duration_seconds",
        "From an order's beginning to its creation or, once cancelled, to the last undoing's answer.",
        "outcome",
        {outcome: histogram(counts, f"order.{outcome}") for outcome in OUTCOMES.values()},
    )
    yield _histogram(
        "saga_step_duration_seconds",
        "From the event that calls for a step to its answer.",
        "step",
        {step: histogram(counts, f"step.{step}") for step in CHOREOGRAPHY.services},
    )
    yield _histogram(
        "saga_undoing_duration_seconds",
        "From the cancellation to the answer that a step is undone.",
        "step",
        {step.service: histogram(counts, f"undo.{step.service}") for step in CHOREOGRAPHY.undoings},
    )


def _messages(counts: Mapping[str, int]) -> Iterator[Metric]:
    types = [(said.TYPE,) for said in CHOREOGRAPHY.events]
    yield _counter("saga_events", "Events, each counted once.", ("type",), _named(counts, "said.", types))
    yield _counter("saga_events_repeated", "Events that came again.", (), [((), counts.get("duplicates", 0))])
    services = [(service,) for service in CHOREOGRAPHY.services]
    yield _counter(
        "saga_retries", "Messages put back for another try.", ("service",), _named(counts, "retried.", services)
    )
    letters = [(service, reason) for service in CHOREOGRAPHY.services for reason in (*REASONS, bounded(""))]
    yield _counter(
        "saga_dead_letters", "Messages set aside.", ("service", "reason"), _named(counts, "dead_at.", letters)
    )
    whys = [(why,) for why in _WHYS]
    yield _counter(
        "saga_entries_ignored",
        "Entries of the history that were ignored.",
        ("why",),
        _named(counts, "ignored.", whys),
    )


def _anomalies(view: View) -> Iterator[Metric]:
    kinds: Counter[str] = Counter()
    for anomaly in view.anomalies:
        kinds[anomaly.kind] += anomaly.count
    yield _gauge("saga_anomalies", "Anomalies now.", ("kind",), [((kind,), kinds[kind]) for kind in Kind])
    yield _stuck(view.anomalies)
    yield _value("saga_monitor_broker_up", "Whether the broker answered when last asked.", view.status is not None)
    if view.behind.entries is not None:
        yield _value("saga_history_lag_entries", "Entries not yet read.", view.behind.entries)
    if view.behind.seconds is not None:
        yield _value("saga_history_lag_seconds", "Age of what was last read, 0 when all is.", view.behind.seconds)


def _freshness(view: View, known: dt.datetime | None) -> Iterator[Metric]:
    """Tells old values from current ones while nothing can be read."""
    yield _value(
        "saga_monitor_known",
        "Whether the last look could judge what is wrong: 0 means that saga_anomalies may be old.",
        view.known,
    )
    yield _value(
        "saga_monitor_as_of_timestamp_seconds",
        "When what is shown was last true, in seconds since 1970; 0 while nothing was ever read.",
        known.timestamp() if known else 0,
    )


def _stuck(anomalies: Sequence[Anomaly]) -> Metric:
    waiting = [anomaly for anomaly in anomalies if anomaly.kind in {Kind.STUCK, Kind.HALF_UNDONE}]
    # A cancelled order may wait for several undoings. It counts once, with the first of them.
    first = {anomaly.commande_id: anomaly for anomaly in reversed(waiting)}
    stuck: Counter[str] = Counter()
    for anomaly in first.values():
        stuck[anomaly.reason] += anomaly.count
    return _gauge(
        "saga_orders_stuck",
        "Orders silent for longer than the step or the undoing that they wait for takes, by the reason.",
        ("reason",),
        [((reason,), stuck[reason]) for reason in Reason],
    )


def _named(counts: Mapping[str, int], prefix: str, known: Iterable[tuple[str, ...]]) -> _Labelled:
    """The counters that begin with `prefix`, by their labels; 0 for the `known` ones that were never counted."""
    found: dict[tuple[str, ...], float] = dict.fromkeys(known, 0)
    for name, value in counts.items():
        if name.startswith(prefix):
            of = name.removeprefix(prefix)
            # An event type contains a dot; for dead letters a dot separates service and reason.
            found[tuple(of.split(".", 1)) if prefix == "dead_at." else (of,)] = value
    return sorted(found.items())


def _counter(name: str, about: str, labels: tuple[str, ...], values: _Labelled) -> Metric:
    return _filled(CounterMetricFamily(name, about, labels=labels), values)


def _value(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=value)


def _gauge(name: str, about: str, labels: tuple[str, ...], values: _Labelled) -> Metric:
    return _filled(GaugeMetricFamily(name, about, labels=labels), values)


def _filled(family: CounterMetricFamily | GaugeMetricFamily, values: _Labelled) -> Metric:
    for of, value in values:
        family.add_metric(of, value)
    return family


def _histogram(name: str, about: str, label: str, spreads: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, about, labels=(label,))
    for of, times in spreads.items():
        buckets, below = [], 0
        for bound, count in zip([*(str(ms / 1000) for ms in BOUNDS_MS), "+Inf"], times.counts, strict=True):
            below += count
            buckets.append((bound, below))
        family.add_metric((of,), buckets, times.sum_ms / 1000)
    return family
