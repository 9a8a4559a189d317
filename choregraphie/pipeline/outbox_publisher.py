"""Publishes decided events from the outbox, then retries and dead letters."""

import datetime as dt
from typing import Any

import structlog

from choregraphie.errors import BrokerUnavailable
from choregraphie.failpoints import Place, passing
from choregraphie.messaging import BrokerSession, Delivery, Outgoing, PublishOutcome
from choregraphie.pipeline.context import WorkerContext
from choregraphie.pipeline.republish import for_another_try, set_aside
from choregraphie.saga.topology import is_of_first_delivery
from choregraphie.service.verdict import DeadLetter, RetryAfter, jittered_ms
from choregraphie.storage.invocation import Result

log = structlog.get_logger()

RELAY_BATCH = 128


class OutboxPublisher:
    """Publishes on one session, and keeps the ids of confirmed events until they are marked as published."""

    def __init__(self, context: WorkerContext, session: BrokerSession) -> None:
        self._context = context
        self._session = session
        self._confirmed: list[str] = []

    @property
    def unmarked_ids(self) -> list[str]:
        """The ids of the events that are confirmed and not marked yet, the oldest first."""
        return [*self._confirmed]

    def marked(self, unmarked_ids: list[str]) -> None:
        """Forget `unmarked_ids`, which are marked now."""
        del self._confirmed[: len(unmarked_ids)]

    async def publish(self, results: list[Result]) -> None:
        """Publish the messages of `results` and wait for the confirms.

        Raises BrokerUnavailable when one is missing.
        """
        await self._publish([message for result in results for message in self._messages(result)])
        passing(Place.AFTER_CONFIRM)
        if any(isinstance(result.verdict, RetryAfter) for result in results):
            passing(Place.AFTER_RETRY_PUBLISH)
        if any(isinstance(result.verdict, DeadLetter) for result in results):
            passing(Place.AFTER_DEAD_LETTER_PUBLISH)

    async def relay(self, older_than: dt.timedelta) -> None:
        """Publish the events in the outbox that were committed that long ago and are not marked as published.

        Raises BrokerUnavailable when a confirm is missing.
        """
        # Up to the last event of this moment: other workers may add events without a pause.
        after, last = 0, await self._context.retry_until_available(self._context.store.last_decided)
        while True:
            outbox_events, after = await self._context.retry_until_available(
                self._context.store.pending, RELAY_BATCH, after, last
            )
            limit = self._context.now() - older_than
            due = [
                outbox_event.outgoing(self._context.store.service)
                for outbox_event in outbox_events
                if outbox_event.decided_at <= limit
            ]
            if due:
                log.info("outbox.relayed", events=len(due))
                self._context.telemetry.relayed(len(due))
                await self._publish(due)
            if not outbox_events:
                return

    def _messages(self, result: Result) -> list[Outgoing]:
        messages = [outbox_event.outgoing(self._context.store.service) for outbox_event in result.outbox_events]
        if result.delivery is not None and isinstance(result.verdict, RetryAfter):
            wait_ms = jittered_ms(result.verdict.seconds, self._context.rng)
            back = self._context.now() + dt.timedelta(milliseconds=wait_ms)
            messages.append(for_another_try(result.delivery, result.verdict, self._context.service, wait_ms, back))
            _log("message.retried", result, result.verdict, seconds=result.verdict.seconds)
        elif result.delivery is not None and isinstance(result.verdict, DeadLetter):
            messages.append(set_aside(result.delivery, result.verdict, self._context.service, self._context.now()))
            _log("message.dead_lettered", result, result.verdict, reason=result.verdict.reason.value)
        return messages

    async def _publish(self, messages: list[Outgoing]) -> None:
        with self._context.telemetry.publish(), self._context.tracing.send(messages) as sent:
            outcomes = await self._session.publish(messages)
            sent(outcomes)
        confirmed = [
            message.properties.message_id
            for message, outcome in zip(messages, outcomes, strict=True)
            if outcome is PublishOutcome.CONFIRMED and is_of_first_delivery(message.exchange)
        ]
        self._confirmed += [event_id for event_id in confirmed if event_id]
        self._context.telemetry.published(len(confirmed))
        for message, outcome in zip(messages, outcomes, strict=True):
            if outcome is not PublishOutcome.CONFIRMED:
                # Nothing is lost: the outbox keeps its rows, and the delivery is not acknowledged.
                why = self._session.lost or outcome.value
                raise BrokerUnavailable(f"publishing {message.routing_key} to {message.exchange}: {why}")


def _log(event: str, result: Result, verdict: RetryAfter | DeadLetter, **more: Any) -> None:
    fields = result.invocation.bound() if result.invocation else _unread(result.delivery, verdict.attempt)
    log.warning(event, detail=verdict.detail, **more, **fields)


def _unread(delivery: Delivery | None, attempt: int) -> dict[str, Any]:
    """The fields that identify a message that could not be read."""
    if delivery is None:
        return {"attempt": attempt}
    return {
        "attempt": attempt,
        "message_id": delivery.properties.message_id,
        "exchange": delivery.exchange,
        "routing_key": delivery.routing_key,
    }
