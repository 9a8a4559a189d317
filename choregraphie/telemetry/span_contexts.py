"""Trace contexts between the headers of a message and OpenTelemetry's API."""

import hashlib
from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)

from choregraphie.saga.envelope import Instance
from choregraphie.saga.trace_context import TraceContext

# A span with this parent begins a trace, whatever span the program that embeds a worker has open.
ROOT = Context()
_KNOWN_FLAGS = TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID


def span_context(trace: TraceContext) -> SpanContext:
    """The span that created a message."""
    return SpanContext(
        int(trace.traceparent[3:35], 16),
        int(trace.traceparent[36:52], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(trace.traceparent[53:], 16) & _KNOWN_FLAGS),
        trace_state=TraceState.from_header([trace.tracestate] if trace.tracestate else []),
    )


def trace_context(of: SpanContext) -> TraceContext | None:
    """The context that travels with a message that this span created; None for a span that does not exist."""
    if not of.is_valid:
        return None
    return TraceContext(
        f"00-{of.trace_id:032x}-{of.span_id:016x}-{of.trace_flags & 0xFF:02x}", of.trace_state.to_header() or None
    )


def child_of(parent: SpanContext) -> Context:
    """The context in which a span is a child of `parent`."""
    return set_span_in_context(NonRecordingSpan(parent), ROOT)


def linked(trace: TraceContext | None, attributes: Mapping[str, Any] | None = None) -> tuple[Link, ...]:
    """The link to the span that created a message; none when its sender gave no context."""
    return (Link(span_context(trace), attributes),) if trace else ()


def context_of_instance(tracer: Tracer, instance: Instance) -> SpanContext:
    """The parent of the spans of an instance whose first message came without a context.

    It follows from saga and key, so that all services name the same trace; no span has its id. The tracer's own
    sampler decides by the trace, as it does for a root, so that they also agree whether it is recorded.
    """
    digest = hashlib.sha256("\0".join(instance).encode()).digest()
    trace_id, span_id = int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:24]) or 1
    sampler = getattr(tracer, "sampler", None)  # the API has none
    recorded = sampler is None or sampler.should_sample(ROOT, trace_id, instance.saga).decision.is_sampled()
    flags = TraceFlags(TraceFlags.SAMPLED if recorded else TraceFlags.DEFAULT)
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)
