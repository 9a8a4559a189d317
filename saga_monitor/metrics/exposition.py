"""The Prometheus metrics of the monitor, read from its file at each scrape, so that a restart loses nothing.

When the file is deleted, the counters begin at 0 again. Prometheus takes that for a restart, and counts what is
read again as an increase. Alert notices are counted since the process began. No label holds an instance's id,
because there are as many ids as instances.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from choregraphie.saga.saga_set import SagaSet
from saga_monitor.alerting.watcher import AlertWatcher, View
from saga_monitor.diagnosis.anomalies import Anomaly, Kind
from saga_monitor.diagnosis.causes import Reason
from saga_monitor.metrics.families import counter, gauge, value
from saga_monitor.metrics.sagas import NONE, saga_metrics
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.threads import run_in_thread

_REASONS_IGNORED = ("unreadable", "unknown", "untrusted", "unsigned", "unsigned_record", "excess")


class MonitorMetrics(Collector):
    """`watcher`: its latest view gives the anomalies and the state of the broker."""

    def __init__(self, queries: Queries, watcher: AlertWatcher) -> None:
        self._queries = queries
        self._watcher = watcher

    def describe(self) -> Iterable[Metric]:
        """Empty, because registering must not read the file."""
        return []

    def collect(self) -> Iterator[Metric]:
        now, queries, sagas = dt.datetime.now(dt.UTC), self._queries, self._queries.sagas
        counts = {name: queries.totals(now, 0, name).counts for name in (*sagas.by_name, NONE)}
        yield from saga_metrics(sagas, counts)
        yield _ignored(counts)
        yield from _anomalies(self._watcher.view, sagas)
        yield from _freshness(self._watcher.view, queries.as_of())
        yield counter(
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
        body, kind = await run_in_thread(exposition, self._own) if allowed else (b"", "text/plain")
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200 if allowed else 405, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _ignored(counts: Mapping[str, Mapping[str, int]]) -> Metric:
    reasons = dict.fromkeys(_REASONS_IGNORED, 0)
    for counted in counts.values():
        for name, number in counted.items():
            if name.startswith("ignored."):
                reason = name.removeprefix("ignored.")
                reasons[reason] = reasons.get(reason, 0) + number
    about = "Entries of the history that were ignored."
    return counter("saga_entries_ignored", about, ("reason",), [((one,), n) for one, n in reasons.items()])


def _anomalies(view: View, sagas: SagaSet) -> Iterator[Metric]:
    kinds: Counter[tuple[str, ...]] = Counter()
    for anomaly in view.anomalies:
        kinds[anomaly.saga or NONE, anomaly.kind] += anomaly.count
    known = [(saga, kind) for saga in (*sagas.by_name, NONE) for kind in Kind]
    about = "Anomalies now; those of no saga, such as a queue's, under an empty label."
    yield gauge("saga_anomalies", about, ("saga", "kind"), [(labels, kinds[labels]) for labels in known])
    yield _stuck(view.anomalies, sagas)
    yield value("saga_monitor_broker_up", "Whether the broker answered when last asked.", view.status is not None)
    if view.behind.entries is not None:
        yield value("saga_history_lag_entries", "Entries not yet read.", view.behind.entries)
    if view.behind.seconds is not None:
        yield value("saga_history_lag_seconds", "Age of what was last read, 0 when all is.", view.behind.seconds)


def _freshness(view: View, known: dt.datetime | None) -> Iterator[Metric]:
    """Tells old values from current ones while nothing can be read."""
    yield value(
        "saga_monitor_known",
        "Whether the last look could judge what is wrong: 0 means that saga_anomalies may be old.",
        view.known,
    )
    yield value(
        "saga_monitor_as_of_timestamp_seconds",
        "When what is shown was last true, in seconds since 1970; 0 while nothing was ever read.",
        known.timestamp() if known else 0,
    )


# An instance that waits for an external system is held, not stuck.
_STUCK_REASONS = [reason for reason in Reason if reason is not Reason.OUTSIDE_DOWN]


def _stuck(anomalies: Sequence[Anomaly], sagas: SagaSet) -> Metric:
    waiting = [anomaly for anomaly in anomalies if anomaly.kind in {Kind.STUCK, Kind.HALF_UNDONE}]
    # A cancelled instance may wait for several undoings. It counts once, with the first of them.
    first = {anomaly.instance: anomaly for anomaly in reversed(waiting)}
    stuck: Counter[tuple[str, ...]] = Counter()
    for anomaly in first.values():
        stuck[anomaly.saga or NONE, anomaly.reason] += anomaly.count
    return gauge(
        "saga_instances_stuck",
        "Instances silent for longer than the step or the undoing that they wait for takes, by the reason.",
        ("saga", "reason"),
        [((saga, reason), stuck[saga, reason]) for saga in sagas.by_name for reason in _STUCK_REASONS],
    )
