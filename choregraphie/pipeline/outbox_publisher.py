"""Publishes decided events from the outbox, then retries and dead letters."""

import datetime as dt
from typing import Any

import structlog

from choregraphie.errors import BrokerUnavailable
from choregraphie.failpoints import Place, passing
from choregraphie.messaging import BrokerSession, Delivery, Outgoing, PublishOutcome
from choregraphie.pipeline.context import WorkerContext
from choregraphie.pipeline.republish import for_another_try, set_aside
from choregraphie.saga.topology import events
from choregraphie.service.verdict import DeadLetter, RetryAfter, jittered_ms
from choregraphie.storage.invocation import Result

log = structlog.get_logger()

RELAYED_AT_ONCE = 128


class OutboxPublisher:
    """Publishes through one session's door, and keeps the ids confirmed until they are marked as said."""

    def __init__(self, context: WorkerContext, session: BrokerSession) -> None:
        self._context = context
        self._session = session
        self._confirmed: list[str] = []

    @property
    def unmarked_ids(self) -> list[str]:
        """The ids confirmed and not known to be marked, the oldest first."""
        return [*self._confirmed]

    def marked(self, unmarked_ids: list[str]) -> None:
        """What `unmarked` gave is marked. Until then it is kept: who leaves half-way marks it once more."""
        del self._confirmed[: len(unmarked_ids)]

    async def say(self, results: list[Result]) -> None:
        """Publish what a group decided and wait for all confirms. Raises BrokerUnavailable when one is missing."""
        await self._publish([message for result in results for message in self._messages(result)])
        passing(Place.AFTER_CONFIRM)
        if any(isinstance(result.verdict, RetryAfter) for result in results):
            passing(Place.AFTER_RETRY_PUBLISH)
        if any(isinstance(result.verdict, DeadLetter) for result in results):
            passing(Place.AFTER_DEAD_LETTER_PUBLISH)

    async def relay(self, older_than: dt.timedelta) -> None:
        """Say what was decided that long ago and not said: at start, everything; later, what others left."""
        # Up to what there is now: where other workers decide all the while, there would be no end of it.
        after, last = 0, await self._context.retry_until_available(self._context.store.last_decided)
        while True:
            outbox_events, after = await self._context.retry_until_available(
                self._context.store.unsaid, RELAYED_AT_ONCE, after, last
            )
            limit = self._context.now() - older_than
            due = [
                outbox_event.outgoing(self._context.service)
                for outbox_event in outbox_events
                if outbox_event.decided_at <= limit
            ]
            if due:
                log.info("outbox.relayed", events=len(due))
                self._context.telemetry.unsaid(len(due))
                await self._publish(due)
            if not outbox_events:
                return

    def _messages(self, result: Result) -> list[Outgoing]:
        messages = [outbox_event.outgoing(self._context.service) for outbox_event in result.outbox_events]
        if result.delivery is not None and isinstance(result.verdict, RetryAfter):
            wait_ms = jittered_ms(result.verdict.seconds, self._context.rng)
            back = self._context.now() + dt.timedelta(milliseconds=wait_ms)
            messages.append(for_another_try(result.delivery, result.verdict, self._context.service, wait_ms, back))
            _tell("message.retried", result, result.verdict, seconds=result.verdict.seconds)
        elif result.delivery is not None and isinstance(result.verdict, DeadLetter):
            messages.append(set_aside(result.delivery, result.verdict, self._context.service))
            _tell("message.dead_lettered", result, result.verdict, reason=result.verdict.reason.value)
        return messages

    async def _publish(self, messages: list[Outgoing]) -> None:
        with self._context.telemetry.publish():
            outcomes = await self._session.publish(messages)
        own = events(self._context.service)
        said = [
            m.properties.message_id
            for m, outcome in zip(messages, outcomes, strict=True)
            if _is_said(m, outcome, own)
        ]
        self._confirmed += [event_id for event_id in said if event_id]
        self._context.telemetry.said(len(said))
        for message, outcome in zip(messages, outcomes, strict=True):
            if outcome is not PublishOutcome.CONFIRMED:
                # Nothing is lost by it: the outbox keeps its rows, and the delivery was not acknowledged.
                why = self._session.lost or outcome.value
                raise BrokerUnavailable(f"publishing {message.routing_key} to {message.exchange}: {why}")


def _is_said(message: Outgoing, outcome: PublishOutcome, own: str) -> bool:
    return outcome is PublishOutcome.CONFIRMED and message.exchange == own


def _tell(event: str, result: Result, verdict: RetryAfter | DeadLetter, **more: Any) -> None:
    known = result.invocation.bound() if result.invocation else _unread(result.delivery, verdict.attempt)
    log.warning(event, detail=verdict.detail, **more, **known)


def _unread(delivery: Delivery | None, attempt: int) -> dict[str, Any]:
    """What tells a message that could not be read from others."""
    if delivery is None:
        return {"attempt": attempt}
    found = {"message_id": delivery.properties.message_id, "exchange": delivery.exchange}
    return {"attempt": attempt, **found, "routing_key": delivery.routing_key}
