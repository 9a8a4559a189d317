"""Publishes a customer's events: in batches, each event confirmed, at a given rate or as fast as possible."""

import asyncio
import datetime as dt
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from choregraphie import BrokerUnavailable, Settings
from choregraphie.amqp_url import broker_address
from choregraphie.broker import Publisher, open_publisher
from choregraphie.messaging import Outgoing, Properties, PublishOutcome
from choregraphie.retrying import backoff
from choregraphie.saga.envelope import CONTENT_TYPE, Event, wrap
from choregraphie.saga.ids import new_id
from choregraphie.saga.topology import events, inbox
from contracts.choreography import CHOREOGRAPHY

SOURCE = "/clients/passer_commande"
BATCH = 256
# The time of one batch at a given rate: short enough to look even, long enough to be cheap.
TICK_SECONDS = 0.1
SESSIONS = 4


class NoReceiverError(Exception):
    """The events would reach no service that must hear them. The text is one line."""


class BrokerUnreachableError(Exception):
    """The broker does not answer. The text is one line with its address."""


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """An event in its envelope, and the outcome of its publishing."""

    commande_id: str
    outgoing: Outgoing
    outcome: PublishOutcome = PublishOutcome.UNKNOWN

    @property
    def event_id(self) -> str:
        return self.outgoing.properties.message_id or ""


async def publish_events(
    settings: Settings, cls: type[Event], pending_events: Iterable[Event], rate: float | None
) -> AsyncGenerator[list[PublishedEvent] | str, None]:
    """Publish every event of `pending_events`, all of type `cls`. Yields notices and finished batches.

    Raises NoReceiverError before the first is published, BrokerUnreachableError, or a UserError of the engine.
    """
    batches = _paced(pending_events, rate)
    undecided: list[PublishedEvent] = []
    for session in range(1, SESSIONS + 1):
        try:
            async with open_publisher(settings, SOURCE.rpartition("/")[2]) as publisher:
                if session == 1:
                    for service in await _services_without_worker(publisher, cls):
                        yield f"no worker of {service} is running: this waits in {inbox(service)} until one is"
                while undecided or (undecided := await anext(batches, [])):
                    outcomes = await publisher.publish([published.outgoing for published in undecided])
                    decided, undecided = _by_outcome(undecided, outcomes)
                    yield decided
                    if undecided:
                        raise BrokerUnavailable("the session was lost")
                return
        except BrokerUnavailable as error:
            if session == SESSIONS or not undecided:
                raise BrokerUnreachableError(_unreachable(settings, error)) from error
            # The ids stay the same, so a service that has handled an event ignores the repetition.
            await asyncio.sleep(backoff(session))


async def _services_without_worker(publisher: Publisher, cls: type[Event]) -> list[str]:
    """The services that must hear `cls` and have no worker now. Raises NoReceiverError.

    The broker cannot return an event as unroutable, for the history stream takes every event: so the inboxes are
    looked up.
    """
    if not await publisher.has_exchange(events(cls.SAID_BY)):
        raise NoReceiverError(
            f"nobody would receive it: there is no exchange {events(cls.SAID_BY)} on this broker;"
            " start the workers first (python -m services run all)"
        )
    hearers = [r.service for r in CHOREOGRAPHY.reactions if r.hears is cls]
    counts = await publisher.counts([inbox(service) for service in hearers])
    missing = [inbox(service) for service in hearers if inbox(service) not in counts]
    if missing:
        raise NoReceiverError(
            f"nobody would receive it: there is no queue {' and no queue '.join(missing)} on this broker"
        )
    return [service for service in hearers if not counts[inbox(service)].consumers]


async def _paced(pending_events: Iterable[Event], rate: float | None) -> AsyncIterator[list[PublishedEvent]]:
    size = BATCH if rate is None else max(1, min(BATCH, round(rate * TICK_SECONDS)))
    remaining = iter(pending_events)
    clock = asyncio.get_running_loop().time
    due = clock()
    while batch := list(itertools.islice(remaining, size)):
        await asyncio.sleep(max(0.0, due - clock()))
        yield [_enveloped(event) for event in batch]
        if rate is not None:
            due += len(batch) / rate


def _enveloped(event: Event) -> PublishedEvent:
    now = dt.datetime.now(dt.UTC)
    envelope = wrap(event, id=new_id(now), source=SOURCE, time=now)
    properties = Properties(
        message_id=envelope.id,
        type=event.TYPE,
        correlation_id=event.key,
        app_id=SOURCE.rpartition("/")[2],
        timestamp=now,
        content_type=CONTENT_TYPE,
    )
    message = Outgoing(events(event.SAID_BY), event.TYPE, envelope.to_bytes(), properties)
    return PublishedEvent(event.key, message)


def _by_outcome(
    batch: Sequence[PublishedEvent], outcomes: Sequence[PublishOutcome]
) -> tuple[list[PublishedEvent], list[PublishedEvent]]:
    """The events of `batch` whose outcome is known, and those to publish again."""
    outcomes_known = [
        PublishedEvent(s.commande_id, s.outgoing, outcome) for s, outcome in zip(batch, outcomes, strict=True)
    ]
    return (
        [published for published in outcomes_known if published.outcome is not PublishOutcome.UNKNOWN],
        [published for published in outcomes_known if published.outcome is PublishOutcome.UNKNOWN],
    )


def _unreachable(settings: Settings, error: Exception) -> str:
    return f"the broker at {broker_address(settings.current('amqp_url')).place} does not answer: {error}"
