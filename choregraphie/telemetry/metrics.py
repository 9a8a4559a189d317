"""The metrics of a worker: the Prometheus instruments behind the hooks that the pipeline calls."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client import Counter as Count

from choregraphie.errors import Reason
from choregraphie.service.verdict import DeadLetter, RetryAfter, Verdict
from choregraphie.storage.invocation import Result
from choregraphie.telemetry.hooks import Telemetry

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
# A message that could not be decoded has no known type, and its own must not become a label.
_UNREAD = "unread"


class Instruments:
    """The metrics of one process, for all its services."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def count(name: str, about: str, *labels: str) -> Count:
            return Count(f"saga_worker_{name}", about, ("service", *labels), registry=registry)

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(f"saga_worker_{name}", about, ("service", *labels), registry=registry)

        def spread(name: str, about: str, *labels: str, buckets: Sequence[float] = _SECONDS) -> Histogram:
            return Histogram(
                f"saga_worker_{name}", about, ("service", *labels), buckets=buckets, registry=registry
            )

        self.handled = count("handled", "Deliveries handled.", "type", "outcome")
        self.dead_lettered = count("dead_lettered", "Dead letters.", "reason")
        self.batch = spread("batch_size", "Deliveries in one transaction.", buckets=_SIZES)
        self.outbox = gauge("outbox_waiting", "Events committed and not confirmed.")
        self.published = count("published", "Events confirmed by the broker.")
        self.commit = spread("commit_seconds", "Duration of a batch's transaction.")
        self.publish = spread("publish_seconds", "Duration of publishing, until the last confirm.")
        self.call = spread("call_seconds", "Calls to the outside.", "type")
        self.call_failures = count("call_failures", "Calls that failed.", "type")
        self.breaker_open = gauge("breaker_open", "1 while the inbox is held for that system.", "outside")
        self.session_up = gauge("session_up", "1 while the worker receives.")
        self.sessions = count("sessions", "Sessions opened.")
        self.blocked = gauge("blocked", "Stages that wait for a database or a resource of the worker itself.")
        self.database_unavailable = count("database_unavailable", "Times that the database did not answer.")


class ServiceMetrics(Telemetry):
    """The hooks of one service, counted in `instruments`."""

    def __init__(self, service: str, instruments: Instruments) -> None:
        self._receives = False
        self._stages_blocked: frozenset[str] = frozenset()
        # The outside systems that are down. Read from other threads.
        self.awaits: frozenset[str] = frozenset()
        self._service, self._instruments = service, instruments
        # Looked up once: finding a labelled child costs more than counting.
        self._batch, self._outbox = instruments.batch.labels(service), instruments.outbox.labels(service)
        self._commit, self._publish = instruments.commit.labels(service), instruments.publish.labels(service)
        self._published, self._up = instruments.published.labels(service), instruments.session_up.labels(service)
        self._sessions, self._database_unavailable = (
            instruments.sessions.labels(service),
            instruments.database_unavailable.labels(service),
        )
        self._blocked = instruments.blocked.labels(service)
        # Created at 0: Prometheus sees no increase in a counter whose first value is 1.
        self._dead_lettered = {
            reason: instruments.dead_lettered.labels(service, reason.value) for reason in Reason
        }

    @contextmanager
    def session(self) -> Iterator[None]:
        self._sessions.inc()
        # The outbox is read again at the start of each session; another worker may have published what was
        # counted.
        self._outbox.set(0)
        try:
            yield
        finally:
            self._receives = False
            self._up.set(0)

    @property
    def ready(self) -> bool:
        """Whether it has a session, receives, and can handle what it receives. Read from other threads."""
        return self._receives and not self._stages_blocked

    def consuming(self) -> None:
        self._receives = True
        self._up.set(1)

    def commit(self, invocations: int) -> AbstractContextManager[None]:
        if invocations:
            self._batch.observe(invocations)
        return self._commit.time()

    @contextmanager
    def call(self, type_: str) -> Iterator[None]:
        failures = self._instruments.call_failures.labels(self._service, type_)
        with self._instruments.call.labels(self._service, type_).time():
            try:
                yield
            except Exception:
                failures.inc()
                raise

    def held(self, outside: str, is_open: bool) -> None:
        self.awaits = self.awaits | {outside} if is_open else self.awaits - {outside}
        self._instruments.breaker_open.labels(self._service, outside).set(is_open)

    def publish(self) -> AbstractContextManager[None]:
        return self._publish.time()

    def decided(self, results: Sequence[Result]) -> None:
        self._outbox.inc(sum(len(result.outbox_events) for result in results))
        deliveries = [result for result in results if result.delivery is not None]
        for (type_, outcome), count in Counter((_type(r), _outcome(r.verdict)) for r in deliveries).items():
            self._instruments.handled.labels(self._service, type_, outcome).inc(count)
        for result in deliveries:
            if isinstance(result.verdict, DeadLetter):
                self._dead_lettered[result.verdict.reason].inc()

    def relayed(self, events: int) -> None:
        self._outbox.inc(events)

    def published(self, events: int) -> None:
        self._published.inc(events)
        self._outbox.dec(events)

    def database_unavailable(self) -> None:
        self._database_unavailable.inc()

    def blocked(self, stage: str) -> None:
        self._stages_blocked |= {stage}
        self._blocked.set(len(self._stages_blocked))

    def unblocked(self, stage: str) -> None:
        self._stages_blocked -= {stage}
        self._blocked.set(len(self._stages_blocked))


def _type(result: Result) -> str:
    return result.invocation.event.TYPE if result.invocation else _UNREAD


def _outcome(verdict: Verdict) -> str:
    if isinstance(verdict, RetryAfter):
        return "retried"
    return "dead_lettered" if isinstance(verdict, DeadLetter) else "done"
