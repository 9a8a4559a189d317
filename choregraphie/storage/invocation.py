"""An invocation: a decoded delivery with the handler for it; and its result."""

import datetime as dt
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from choregraphie.messaging import Delivery
from choregraphie.saga.envelope import Event, Instance
from choregraphie.saga.trace_context import TraceContext
from choregraphie.service.service import Handler
from choregraphie.service.verdict import Verdict
from choregraphie.storage.inbox import EventIdentity, Receipt
from choregraphie.storage.outbox import OutboxEvent


class ProcessSpan(Protocol):
    """The span of a delivery that is being handled."""

    def fields(self) -> dict[str, str]:
        """The fields that name it in a log line."""


class Invocation(NamedTuple):
    """A decoded delivery and its handler.

    `time`: of the event, if it gives one. `trace`: the context that it came with. `span`: its own, while spans are
    made. `answer`: of its external call. `failure`: why it cannot be carried out. `commit_unknown`: the database
    stopped answering during its transaction, so it may have been committed.
    """

    delivery: Delivery
    handler: Handler
    event: Event
    instance: Instance
    identity: EventIdentity
    body_hash: bytes
    time: dt.datetime | None = None
    attempt: int = 1
    trace: TraceContext | None = None
    span: ProcessSpan | None = None
    answer: Any = None
    failure: Exception | None = None
    commit_unknown: bool = False

    def receipt(self) -> Receipt:
        """Its inbox row."""
        source, event_id = self.identity
        return Receipt(event_id, source, self.body_hash, self.event.TYPE, *self.instance)

    def bound(self) -> dict[str, Any]:
        """The fields of every log line about this delivery."""
        return {
            **self.instance._asdict(),
            "event_id": self.identity.id,
            "event_type": self.event.TYPE,
            "attempt": self.attempt,
            **(self.span.fields() if self.span else {}),
        }


class Result(NamedTuple):
    """The verdict of a delivery, and the events to publish. A scheduled reaction has no delivery."""

    delivery: Delivery | None
    verdict: Verdict
    outbox_events: tuple[OutboxEvent, ...] = ()
    invocation: Invocation | None = None


# Gives a decided event its trace context; the delivery is the one that it answers, None for a scheduled reaction.
Traced = Callable[[OutboxEvent, Invocation | None], OutboxEvent]


def traced_as_heard(event: OutboxEvent, heard: Invocation | None) -> OutboxEvent:
    """`event` with the context that its delivery came with: while no spans are made, the trace goes on."""
    if heard is None or heard.trace is None:
        return event
    return event._replace(traceparent=heard.trace.traceparent, tracestate=heard.trace.tracestate)


def with_commit_unknown(invocations: list[Invocation]) -> list[Invocation]:
    """The same invocations, marked: the reply to their commit may be lost, so they may have been committed."""
    return [invocation._replace(commit_unknown=True) for invocation in invocations]


def without_result(invocations: list[Invocation], results: list[Result]) -> list[Invocation]:
    """The invocations that have no result, because the database stopped answering half-way."""
    if len(results) == len(invocations):
        return []
    dealt_with = {result.delivery.tag for result in results if result.delivery is not None}
    return [invocation for invocation in invocations if invocation.delivery.tag not in dealt_with]
