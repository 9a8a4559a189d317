"""Gives each service its tracing, exported by OTLP as the standard's own variables (`OTEL_…`) say."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import structlog

from choregraphie.amqp_url import broker_address
from choregraphie.errors import BadSetting
from choregraphie.extras import needing
from choregraphie.service.service import Service
from choregraphie.settings import Settings
from choregraphie.telemetry.hooks import UNTRACED, Tracing

log = structlog.get_logger()

TracingOf = Callable[[Service], Tracing]

# How long a worker that stops waits for a receiver that does not answer: what is left then is lost.
FLUSH_SECONDS = 3.0
_SCOPE = "choregraphie"
_SCHEMA = "https://opentelemetry.io/schemas/1.45.0"
_PROTOCOL = "http/protobuf"
_PROTOCOLS = tuple(f"OTEL_EXPORTER_OTLP{part}_PROTOCOL" for part in ("", "_TRACES", "_METRICS"))


@contextlib.asynccontextmanager
async def exporting_traces(settings: Settings) -> AsyncIterator[TracingOf]:
    """Export spans and metrics while the block lasts. Yields what gives each service its hooks.

    Where the program has an SDK of its own, spans go there. Raises MissingExtra, or BadSetting for a variable that
    cannot be used.
    """
    if settings.tracing == "off" or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        yield lambda _: UNTRACED
        return
    providers = _Providers()
    try:
        yield lambda service: _tracing(service, settings, providers)
    finally:
        await asyncio.get_running_loop().run_in_executor(None, providers.shut_down)


def _tracing(service: Service, settings: Settings, providers: "_Providers") -> Tracing:
    # Here: a worker that makes no spans needs none of it, and starts sooner.
    from choregraphie.telemetry.messaging_spans import MessagingSpans
    from choregraphie.telemetry.tracing import ServiceTracing

    tracer_provider, meter_provider = providers.of(service.name)
    broker = broker_address(settings.current("amqp_url"))
    spans = MessagingSpans(
        tracer_provider.get_tracer(_SCOPE, schema_url=_SCHEMA),
        meter_provider.get_meter(_SCOPE, schema_url=_SCHEMA),
        (broker.host, broker.port),
    )
    return ServiceTracing(service, spans, one_trace=settings.tracing == "saga")


class _Providers:
    """The providers of each service: the program's own, or new ones whose `service.name` is the service."""

    def __init__(self) -> None:
        self._opened: list[Any] = []

    def of(self, service: str) -> tuple[Any, Any]:
        from opentelemetry import metrics, trace

        if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            return trace.get_tracer_provider(), metrics.get_meter_provider()
        _check_protocol()
        with needing("tracing"), _readable():
            pair = _new_providers(service)
        self._opened += pair
        return pair

    def shut_down(self) -> None:
        """Export what is left, within FLUSH_SECONDS."""
        threads = [threading.Thread(target=_shut_down, args=(one,), daemon=True) for one in self._opened]
        for thread in threads:
            thread.start()
        end = time.monotonic() + FLUSH_SECONDS
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            log.warning("traces.export_failed", waited_s=FLUSH_SECONDS)


def _shut_down(provider: Any) -> None:
    try:
        provider.shutdown()
    except Exception as error:  # noqa: BLE001 - whatever is left is lost; the worker has done its work
        log.warning("traces.export_failed", error=f"{type(error).__name__}: {error}")


def _new_providers(service: str) -> tuple[Any, Any]:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # What is given here would win over OTEL_SERVICE_NAME.
    named = SERVICE_NAME in OTELResourceDetector().detect().attributes
    resource = Resource.create({} if named else {SERVICE_NAME: service})
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    if _is_exported("OTEL_TRACES_EXPORTER"):
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    readers = (
        [PeriodicExportingMetricReader(OTLPMetricExporter())] if _is_exported("OTEL_METRICS_EXPORTER") else []
    )
    return tracers, MeterProvider(readers, resource, shutdown_on_exit=False)


def _is_exported(variable: str) -> bool:
    chosen = os.environ.get(variable, "").strip() or "otlp"
    if chosen not in {"otlp", "none"}:
        raise BadSetting(f"{variable}: otlp or none, not {chosen[:40]!r}")
    return chosen == "otlp"


def _check_protocol() -> None:
    for variable in _PROTOCOLS:
        chosen = os.environ.get(variable, "").strip() or _PROTOCOL
        if chosen != _PROTOCOL:
            raise BadSetting(f"{variable}: {_PROTOCOL}, on port 4318; {chosen[:40]!r} is not spoken")


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Raises BadSetting in place of the ValueError of a variable that the SDK cannot read."""
    try:
        yield
    except ValueError as error:
        raise BadSetting(f"OTEL_…: {error}") from None
