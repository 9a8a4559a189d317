"""Makes the spans of a service: `process` for a delivery, `create` for an event, `send` and `ack` for a group.

The span of a delivery is linked to the one that created its message. It begins a trace of its own, unless one
trace holds a whole instance: then it is also a child of that span.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, SpanKind

from choregraphie.messaging import Delivery, Outgoing, PublishOutcome
from choregraphie.saga.envelope import Instance
from choregraphie.saga.topology import inbox
from choregraphie.saga.trace_context import TraceContext, received_context
from choregraphie.service.service import Service
from choregraphie.service.verdict import DeadLetter, Done, RetryAfter
from choregraphie.storage.invocation import Invocation, Result
from choregraphie.storage.outbox import OutboxEvent
from choregraphie.telemetry import conventions as names
from choregraphie.telemetry.hooks import Sent, Tracing
from choregraphie.telemetry.messaging_spans import DeliverySpan, MessagingSpans, fail
from choregraphie.telemetry.span_contexts import (
    ROOT,
    child_of,
    context_of_instance,
    linked,
    span_context,
    trace_context,
)

_VERDICTS = {Done: "done", RetryAfter: "retry", DeadLetter: "dead letter"}


class ServiceTracing(Tracing):
    """The hooks of one service. `one_trace`: all spans of an instance are in one trace."""

    def __init__(self, service: Service, spans: MessagingSpans, *, one_trace: bool) -> None:
        self._service, self._inbox = service, inbox(service.name)
        self._spans = spans
        self._one_trace = one_trace

    def begin(self, invocations: list[Invocation]) -> list[Invocation]:
        return [one if one.span else one._replace(span=self._begin(one)) for one in invocations]

    def _begin(self, invocation: Invocation) -> DeliverySpan:
        attributes = self._of_delivery(invocation.delivery) | {
            names.MESSAGE_ID: invocation.identity.id,
            names.CONVERSATION_ID: invocation.instance.key,
            names.SAGA: invocation.instance.saga,
            names.ACTION: invocation.handler.action,
            names.ATTEMPT: invocation.attempt,
        }
        parent = self._parent(invocation.trace, invocation.instance)
        return self._spans.start_delivery(attributes, linked(invocation.trace), parent)

    def _of_delivery(self, delivery: Delivery) -> dict[str, Any]:
        attributes = self._spans.attributes("process", "process", self._consumed(delivery))
        return attributes | {names.ROUTING_KEY: delivery.routing_key, names.DELIVERY_TAG: delivery.tag}

    def _consumed(self, delivery: Delivery) -> str:
        return names.consumed_from(delivery.exchange, delivery.routing_key, self._inbox)

    def _parent(self, trace: TraceContext | None, instance: Instance) -> Context:
        if not self._one_trace:
            return ROOT
        return child_of(span_context(trace) if trace else context_of_instance(self._spans.tracer, instance))

    def traced(self, event: OutboxEvent, heard: Invocation | None) -> OutboxEvent:
        destination = names.published_to(self._service.exchange_for(event.type), event.type)
        attributes = self._spans.attributes("create", "create", destination) | {
            names.ROUTING_KEY: event.type,
            names.MESSAGE_ID: event.event_id,
            names.CONVERSATION_ID: event.key,
            names.SAGA: event.saga,
        }
        reacting = _span_of(heard)
        parent = reacting.context if reacting else self._parent(None, Instance(event.saga, event.key))
        span = self._spans.start(SpanKind.PRODUCER, attributes, (), parent)
        trace = trace_context(span.get_span_context())
        if trace is None:  # the application's own SDK is switched off
            return super().traced(event, heard)
        return event._replace(traceparent=trace.traceparent, tracestate=trace.tracestate, span=span)

    @contextlib.contextmanager
    def call(self, invocation: Invocation) -> Iterator[None]:
        handler, span = invocation.handler, _span_of(invocation)
        about = {names.SAGA: invocation.instance.saga, names.CONVERSATION_ID: invocation.instance.key}
        with self._spans.tracer.start_as_current_span(
            f"call {getattr(handler.call, '__name__', handler.action)}",
            span.context if span else ROOT,
            attributes=about,
            record_exception=False,
            set_status_on_exception=False,
        ) as calling:
            try:
                yield
            except Exception as error:
                fail(calling, type(error).__name__)
                raise

    def decided(self, results: Sequence[Result]) -> None:
        for result in results:
            for event in result.outbox_events:
                if event.span is not None:
                    event.span.end()
            if result.delivery is not None:
                span = _span_of(result.invocation) or self._unread(result.delivery)
                self._spans.end_delivery(span, _VERDICTS[type(result.verdict)], _error_of(result))

    def _unread(self, delivery: Delivery) -> DeliverySpan:
        """The span of a message that could not be read: nothing that it says of itself is in it."""
        links = linked(received_context(delivery.headers))
        return self._spans.start_delivery(self._of_delivery(delivery), links, ROOT)

    @contextlib.contextmanager
    def send(self, messages: Sequence[Outgoing]) -> Iterator[Sent]:
        if not messages:
            yield lambda outcomes: None
            return
        contexts = [received_context(message.headers) for message in messages]
        to = [names.published_to(message.exchange, message.routing_key) for message in messages]
        destination = names.common(to, names.common((message.exchange for message in messages), ""))
        attributes = self._spans.attributes("send", "send", destination) | {names.BATCH_COUNT: len(messages)}
        links = [
            link
            for message, context, one in zip(messages, contexts, to, strict=True)
            for link in linked(context, _about(message.properties.message_id, one))
        ]
        parents = [span_context(context) if context else None for context in contexts]
        with self._spans.group(attributes, links, self._parent_of_group(parents)) as errors:
            outcomes: list[PublishOutcome] = []
            try:
                yield outcomes.extend
            finally:
                kinds = [_error_of_outcome(outcome) for outcome in outcomes] or ["_OTHER"] * len(messages)
                errors += [kind for kind in kinds if kind]
                for (one, kind), count in Counter(zip(to, kinds, strict=True)).items():
                    self._spans.metrics.sent(count, attributes | {names.DESTINATION: one}, kind)

    def _parent_of_group(self, contexts: Sequence[SpanContext | None]) -> Context:
        """Where one trace holds an instance, what is done with messages of that instance alone is in it too."""
        first = contexts[0]
        if not self._one_trace or first is None or any(one is None for one in contexts):
            return ROOT
        return child_of(first) if len({one.trace_id for one in contexts if one}) == 1 else ROOT

    @contextlib.contextmanager
    def settle(self, results: Sequence[Result]) -> Iterator[None]:
        settled = [(result, result.delivery) for result in results if result.delivery is not None]
        if not settled:
            yield
            return
        destination = names.common((self._consumed(delivery) for _, delivery in settled), self._inbox)
        attributes = self._spans.attributes("ack", "settle", destination) | {names.BATCH_COUNT: len(settled)}
        links: list[Link] = []
        for result, delivery in settled:
            if (heard := result.invocation) is not None:
                links += linked(heard.trace, _about(heard.identity.id, self._consumed(delivery)))
        spans = [_span_of(result.invocation) for result, _ in settled]
        parents = [span.span.get_span_context() if span else None for span in spans]
        with self._spans.group(attributes, links, self._parent_of_group(parents)):
            yield


def _span_of(invocation: Invocation | None) -> DeliverySpan | None:
    span = invocation.span if invocation else None
    return span if isinstance(span, DeliverySpan) else None


def _about(message_id: str | None, destination: str) -> dict[str, str]:
    """What a link says of its message, where a span is about several."""
    return {names.MESSAGE_ID: message_id or "", names.DESTINATION: destination}


def _error_of(result: Result) -> str | None:
    """The class of the exception that a delivery failed with; the reason of a dead letter without one."""
    if isinstance(result.verdict, Done):
        return None
    failure = result.invocation.failure if result.invocation else None
    if failure is not None:
        return type(failure).__name__
    return result.verdict.reason.value if isinstance(result.verdict, DeadLetter) else "_OTHER"


def _error_of_outcome(outcome: PublishOutcome) -> str | None:
    return None if outcome is PublishOutcome.CONFIRMED else outcome.value
