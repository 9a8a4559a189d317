"""A delivery with the reaction that handles it, and the result."""

from typing import Any, NamedTuple

from choregraphie.messaging import Delivery
from choregraphie.saga.envelope import Event
from choregraphie.service.service import Handler
from choregraphie.service.verdict import Verdict
from choregraphie.storage.inbox import EventIdentity
from choregraphie.storage.outbox import OutboxEvent


class Invocation(NamedTuple):
    """A delivery that can be read, on its way to its reaction.

    `failure` is why it cannot be carried out. `unsure`: the database stopped answering while it was dealt with, so
    that nobody knows whether that was committed.
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
        """What every log line about this delivery carries."""
        return {
            "commande_id": self.order,
            "event_id": self.identity.id,
            "event_type": self.event.TYPE,
            "attempt": self.attempt,
        }


class Result(NamedTuple):
    """What became of a delivery, and what is now to be said. A tick of the clock has no delivery."""

    delivery: Delivery | None
    verdict: Verdict
    outbox_events: tuple[OutboxEvent, ...] = ()
    invocation: Invocation | None = None


def with_commit_unknown(invocations: list[Invocation]) -> list[Invocation]:
    """The same invocations, marked: the reply to their commit may be lost, so they may have been carried out."""
    return [invocation._replace(commit_unknown=True) for invocation in invocations]


def without_result(invocations: list[Invocation], results: list[Result]) -> list[Invocation]:
    """The invocations without a result: the database stopped answering half-way."""
    dealt_with = {result.delivery.tag for result in results if result.delivery is not None}
    return [invocation for invocation in invocations if invocation.delivery.tag not in dealt_with]
