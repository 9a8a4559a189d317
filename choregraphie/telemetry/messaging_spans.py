"""Starts and ends the spans of one service, and counts what the conventions ask to count beside them."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from opentelemetry.context import Context
from opentelemetry.metrics import Meter
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, format_span_id, format_trace_id

from choregraphie.telemetry import conventions as names
from choregraphie.telemetry.messaging_metrics import MessagingMetrics
from choregraphie.telemetry.span_contexts import child_of


class DeliverySpan(NamedTuple):
    """The span of a delivery. `began`: when, in nanoseconds since 1970."""

    span: Span
    began: int
    attributes: dict[str, Any]

    def fields(self) -> dict[str, str]:
        """The fields by which log lines are joined with spans."""
        context = self.span.get_span_context()
        return {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}

    @property
    def context(self) -> Context:
        """The context of what happens meanwhile."""
        return child_of(self.span.get_span_context())


class MessagingSpans:
    """The spans of one service. `server`: the broker's address and port."""

    def __init__(self, tracer: Tracer, meter: Meter, server: tuple[str, int]) -> None:
        self.tracer = tracer
        self.metrics = MessagingMetrics(meter)
        self._everywhere = {
            names.SYSTEM: names.RABBITMQ,
            names.SERVER_ADDRESS: server[0],
            names.SERVER_PORT: server[1],
        }

    def attributes(self, name: str, type_: str, destination: str, **more: Any) -> dict[str, Any]:
        """The attributes of an operation; a group that has no one destination gives an empty one."""
        attributes = {**self._everywhere, names.OPERATION_NAME: name, names.OPERATION_TYPE: type_}
        return attributes | ({names.DESTINATION: _encodable(destination)} if destination else {})

    def start(self, kind: SpanKind, attributes: dict[str, Any], links: Sequence[Link], parent: Context) -> Span:
        """A span that begins now."""
        name = f"{attributes[names.OPERATION_NAME]} {attributes.get(names.DESTINATION, '')}".rstrip()
        return self.tracer.start_span(name, parent, kind, attributes, links)

    def start_delivery(self, attributes: dict[str, Any], links: Sequence[Link], parent: Context) -> DeliverySpan:
        """The span of a delivery that is handled from now on."""
        self.metrics.consumed(attributes)
        began = time.time_ns()
        return DeliverySpan(self.start(SpanKind.CONSUMER, attributes, links, parent), began, attributes)

    def end_delivery(self, delivery: DeliverySpan, verdict: str, error: str | None) -> None:
        """The delivery got its `verdict`; `error` is the kind of error that it failed with."""
        delivery.span.set_attribute(names.VERDICT, verdict)
        if error is not None:
            fail(delivery.span, error)
        ended = time.time_ns()
        delivery.span.end(ended)
        self.metrics.processed((ended - delivery.began) / 1e9, delivery.attributes, error)

    @contextlib.contextmanager
    def group(self, attributes: dict[str, Any], links: Sequence[Link], parent: Context) -> Iterator[list[str]]:
        """The span of an operation on a group. The block adds the kinds of its errors to the list that it gets."""
        began, errors = time.time_ns(), list[str]()
        span = self.start(SpanKind.CLIENT, attributes, links, parent)
        try:
            yield errors
        except BaseException as error:
            errors.append(type(error).__name__)
            raise
        finally:
            if errors:
                fail(span, errors[0])
            ended = time.time_ns()
            span.end(ended)
            self.metrics.operated((ended - began) / 1e9, attributes, errors[0] if errors else None)


def fail(span: Span, error: str) -> None:
    """Mark `span` as failed. The text of an exception is not for traces: it may hold what a message said."""
    span.set_attribute(names.ERROR_TYPE, error)
    span.set_status(Status(StatusCode.ERROR))


def _encodable(text: str) -> str:
    """`text` as UTF-8 can hold it: one span that cannot be encoded would take its whole batch with it."""
    return text.encode(errors="replace").decode()
