"""An invocation: a decoded delivery with the handler for it; and its result."""

from typing import Any, NamedTuple

from choregraphie.messaging import Delivery
from choregraphie.saga.envelope import Event
from choregraphie.service.service import Handler
from choregraphie.service.verdict import Verdict
from choregraphie.storage.inbox import EventIdentity
from choregraphie.storage.outbox import OutboxEvent


class Invocation(NamedTuple):
    """A decoded delivery and its handler.

    `answer`: of its external call. `failure`: why it cannot be carried out. `commit_unknown`: the database stopped
    answering during its transaction, so it may have been committed.
    """

    delivery: Delivery
    handler: Handler
    event: Event
    identity: EventIdentity
    body_hash: bytes
    attempt: int = 1
    traceparent: str | None = None
    answer: Any = None
    failure: Exception | None = None
    commit_unknown: bool = False

    @property
    def order(self) -> str:
        return self.event.commande_id

    def bound(self) -> dict[str, Any]:
        """The fields of every log line about this delivery."""
        return {
            "commande_id": self.order,
            "event_id": self.identity.id,
            "event_type": self.event.TYPE,
            "attempt": self.attempt,
        }


class Result(NamedTuple):
    """The verdict of a delivery, and the events to publish. A scheduled reaction has no delivery."""

    delivery: Delivery | None
    verdict: Verdict
    outbox_events: tuple[OutboxEvent, ...] = ()
    invocation: Invocation | None = None


def with_commit_unknown(invocations: list[Invocation]) -> list[Invocation]:
    """The same invocations, marked: the reply to their commit may be lost, so they may have been committed."""
    return [invocation._replace(commit_unknown=True) for invocation in invocations]


def without_result(invocations: list[Invocation], results: list[Result]) -> list[Invocation]:
    """The invocations that have no result, because the database stopped answering half-way."""
    dealt_with = {result.delivery.tag for result in results if result.delivery is not None}
    return [invocation for invocation in invocations if invocation.delivery.tag not in dealt_with]
