"""The four services of the order saga with their spans kept in memory."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from choregraphie.simulator.queues import Message
from choregraphie.telemetry.messaging_spans import MessagingSpans
from choregraphie.telemetry.tracing import ServiceTracing
from scripts.nemesis.orders import EXCHANGE, make_order
from services.application import APP
from tests.chaos.in_process import InProcessSaga

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.sdk.trace.sampling import Sampler

KEY = "CMD-TRACE"
SERVER = ("rabbit.example", 5672)


class TracedSaga:
    """`mode`: the setting SAGA_TRACING."""

    def __init__(self, folder: Path, mode: str = "links", sampler: Sampler | None = None) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self._meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self._mode, self._sampler = mode, sampler
        self._tracing: dict[str, ServiceTracing] = {}
        self.saga = InProcessSaga(folder, self.tracing_of)

    def tracing_of(self, service: str) -> ServiceTracing:
        if service not in self._tracing:
            tracers = TracerProvider(self._sampler, Resource({"service.name": service}), shutdown_on_exit=False)
            tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
            spans = MessagingSpans(tracers.get_tracer("test"), self._meters.get_meter("test"), SERVER)
            self._tracing[service] = ServiceTracing(APP.by_name[service], spans, one_trace=self._mode == "saga")
        return self._tracing[service]

    def publish(self, kind: str = "plain", **headers: Any) -> None:
        """The client's events of an order of that kind, with `headers`."""
        for one in make_order(kind, KEY, random.Random(1)):
            type_ = json.loads(one.body)["type"]
            self.saga.broker.publish(Message(one.body, EXCHANGE, type_, dict(headers)))

    def order(self, kind: str = "plain", **headers: Any) -> None:
        """The same, to the end of the order."""
        self.publish(kind, **headers)
        self.saga.settle()

    def spans(self, operation: str = "", service: str = "") -> list[Span]:
        """The finished spans, oldest first."""
        found = [Span(span) for span in self.exporter.get_finished_spans()]
        chosen = [s for s in found if operation in {"", s.operation} and service in {"", s.service}]
        return sorted(chosen, key=lambda span: span.began)

    def points(self, metric: str) -> list[Any]:
        """The points of one of the metrics, one for each combination of attributes."""
        data = self.reader.get_metrics_data()
        assert data is not None
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
        return [point for s in scopes for m in s.metrics if m.name == metric for point in m.data.data_points]


class Span:
    """A finished span, as tests look at it."""

    def __init__(self, span: ReadableSpan) -> None:
        assert span.context and span.start_time
        self.name, self.kind, self.began = span.name, span.kind.name, span.start_time
        self.attributes: dict[str, Any] = dict(span.attributes or {})
        self.service = str(span.resource.attributes["service.name"])
        self.trace_id, self.id = span.context.trace_id, span.context.span_id
        self.parent = span.parent.span_id if span.parent else None
        self.links = [(link.context.trace_id, link.context.span_id) for link in span.links]
        self.about_links = [dict(link.attributes or {}) for link in span.links]
        self.failed = not span.status.is_ok

    @property
    def operation(self) -> str:
        """Its type; the first word of its name where it has none."""
        return str(self.attributes.get("messaging.operation.type", self.name.partition(" ")[0]))

    @property
    def context(self) -> tuple[int, int]:
        return self.trace_id, self.id
