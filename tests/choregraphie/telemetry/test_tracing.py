"""The hooks of tracing in a running pipeline, and how settings and the standard's variables choose them."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext
from structlog.testing import capture_logs

from choregraphie import Settings
from choregraphie.errors import BadSetting, MissingExtra
from choregraphie.messaging import PublishOutcome
from choregraphie.telemetry.exporting import exporting_traces
from choregraphie.telemetry.hooks import UNTRACED
from choregraphie.telemetry.messaging_spans import MessagingSpans
from choregraphie.telemetry.tracing import ServiceTracing
from tests.support.fake_session import until
from tests.support.running_pipeline import RunningPipeline, order
from tests.support.sample_service import SAMPLE_SERVICE

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Traced:
    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        meters = MeterProvider(shutdown_on_exit=False)
        spans = MessagingSpans(tracers.get_tracer("test"), meters.get_meter("test"), ("localhost", 5672))
        self.tracing = ServiceTracing(SAMPLE_SERVICE, spans, one_trace=False)

    def spans(self, operation: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name.startswith(operation)]


def context_of(span: ReadableSpan) -> SpanContext:
    context: SpanContext | None = span.context
    assert context is not None
    return context


@contextlib.asynccontextmanager
async def running(settings: Settings, **more: Any) -> Any:
    run = RunningPipeline(SAMPLE_SERVICE, settings, **more)
    try:
        yield run
    finally:
        await run.close()


async def test_an_event_that_was_rolled_back_with_its_group_has_one_span(settings: Settings) -> None:
    """The whole group is rolled back and taken one by one: what was decided the first time never was."""
    traced = Traced()
    async with running(settings, tracing=traced.tracing) as run:
        run.session.deliver(order("C-1"))
        run.session.deliver(order("C-2", client_id="PANNE"))
        await until(lambda: len(run.session.acked) == 2)
        await run.stop()
    assert len(traced.spans("create")) == 1
    verdicts = [(span.attributes or {})["saga.verdict"] for span in traced.spans("process")]
    assert sorted(map(str, verdicts)) == ["done", "retry"]


async def test_no_text_of_an_exception_is_in_a_span(settings: Settings) -> None:
    traced = Traced()
    async with running(settings, tracing=traced.tracing) as run:
        run.session.deliver(order(client_id="PANNE"))
        await until(lambda: bool(run.session.acked))
        await run.stop()
    (process,) = traced.spans("process")
    assert (process.attributes or {})["error.type"] == "Failure"
    assert not any("secret-4711" in span.to_json() for span in traced.exporter.get_finished_spans())


async def test_a_group_that_the_broker_does_not_confirm_is_a_failed_span(settings: Settings) -> None:
    traced = Traced()
    async with running(settings, tracing=traced.tracing) as run:
        run.session.outcome = lambda message: PublishOutcome.RETURNED
        run.session.deliver(order())
        with pytest.raises(ExceptionGroup):
            await asyncio.wait_for(run.running, 60)
    (send,) = traced.spans("send")
    assert (send.attributes or {})["error.type"] == "returned"
    assert not send.status.is_ok


async def test_events_left_in_the_outbox_are_linked_to_their_creation(settings: Settings) -> None:
    first, second = Traced(), Traced()
    async with running(settings, tracing=first.tracing) as run:
        run.session.outcome = lambda message: PublishOutcome.UNKNOWN
        run.session.deliver(order())
        with pytest.raises(ExceptionGroup):
            await asyncio.wait_for(run.running, 60)
    async with running(settings, tracing=second.tracing) as run:
        await until(lambda: bool(run.session.published))
        await run.stop()
    (create,), (send,) = first.spans("create"), second.spans("send")
    assert [link.context.span_id for link in send.links] == [context_of(create).span_id]


async def test_without_tracing_the_context_of_a_delivery_goes_on_to_its_answer(settings: Settings) -> None:
    async with running(settings) as run:
        run.session.deliver(order(), headers={"traceparent": PARENT, "tracestate": "a=1"})
        await until(lambda: bool(run.session.acked))
        assert run.session.published[0].headers == {"traceparent": PARENT, "tracestate": "a=1"}
        await run.stop()


async def test_log_lines_about_a_delivery_name_its_span(settings: Settings) -> None:
    traced = Traced()
    with capture_logs() as lines:
        async with running(settings, tracing=traced.tracing) as run:
            run.session.deliver(order(client_id="PANNE"))
            await until(lambda: bool(run.session.acked))
            await run.stop()
    (process,) = traced.spans("process")
    (retried,) = (line for line in lines if line["event"] == "message.retried")
    assert int(retried["trace_id"], 16) == context_of(process).trace_id
    assert int(retried["span_id"], 16) == context_of(process).span_id


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """No receiver answers on this port, and the exporter's own lines are not of interest."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    level = logging.getLogger("opentelemetry").level
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    yield monkeypatch
    logging.getLogger("opentelemetry").setLevel(level)


async def hooks_of(tracing: str) -> Any:
    async with exporting_traces(Settings(tracing=tracing)) as tracing_of:
        return tracing_of(SAMPLE_SERVICE)


async def test_off_and_a_disabled_sdk_make_no_spans(variables: pytest.MonkeyPatch) -> None:
    assert await hooks_of("off") is UNTRACED
    assert isinstance(await hooks_of("links"), ServiceTracing)
    variables.setenv("OTEL_SDK_DISABLED", "TRUE")
    assert await hooks_of("links") is UNTRACED


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin", "OTEL_TRACES_EXPORTER: otlp or none, not 'zipkin'"),
        ("OTEL_METRICS_EXPORTER", "prometheus", "OTEL_METRICS_EXPORTER: otlp or none, not 'prometheus'"),
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "grpc",
            "OTEL_EXPORTER_OTLP_PROTOCOL: http/protobuf, on port 4318; 'grpc'",
        ),
    ],
)
async def test_a_variable_that_cannot_be_used_is_named(
    variables: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    variables.setenv(variable, value)
    with pytest.raises(BadSetting, match=says):
        await hooks_of("links")


async def test_a_missing_sdk_names_the_extra(variables: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("opentelemetry.sdk")]:
        variables.delitem(sys.modules, module)
    variables.setitem(sys.modules, "opentelemetry.sdk", None)
    with pytest.raises(MissingExtra, match=r"choregraphie\[tracing\]"):
        await hooks_of("links")
