"""Publishes a customer's events with confirms, one by one or in batches, at a given rate."""

import asyncio
import datetime as dt
import itertools
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from choregraphie import BrokerUnavailable, Settings
from choregraphie.amqp_url import broker_address
from choregraphie.broker import Publisher, open_publisher
from choregraphie.messaging import Outgoing, Properties, PublishOutcome
from choregraphie.pipeline import backoff
from choregraphie.saga.envelope import CONTENT_TYPE, Event, wrap
from choregraphie.saga.topology import events, inbox
from contracts.choreography import CHOREOGRAPHY

SOURCE = "/clients/passer_commande"
BATCH = 256
# At a given rate, batches of this much time: even enough to look at, few enough to be cheap.
TICK_SECONDS = 0.1
SESSIONS = 4


class NobodyListensError(Exception):
    """What would be said would reach nobody who must hear it. The text is one line."""


class BrokerAwayError(Exception):
    """The broker does not answer. The text is one line that says where it was looked for."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """An event in its envelope, and what became of it."""

    commande_id: str
    outgoing: Outgoing
    outcome: PublishOutcome = PublishOutcome.UNKNOWN

    @property
    def event_id(self) -> str:
        return self.outgoing.properties.message_id or ""


async def say(
    settings: Settings, cls: type[Event], said: Iterable[Event], rate: float | None
) -> AsyncGenerator[list[Spoken] | str, None]:
    """Say every event of `said`, all of type `cls`. Yields a notice for the person, or a batch with its fates.

    Raises NobodyListensError before the first is said, BrokerAwayError, or a UserError of the runtime.
    """
    batches = _paced(said, rate)
    waiting: list[Spoken] = []
    for session in range(1, SESSIONS + 1):
        try:
            async with open_publisher(settings, SOURCE.rpartition("/")[2]) as publisher:
                if session == 1:
                    for service in await _idle(publisher, cls):
                        yield f"no worker of {service} is running: this waits in {inbox(service)} until one is"
                while waiting or (waiting := await anext(batches, [])):
                    outcomes = await publisher.publish([spoken.outgoing for spoken in waiting])
                    known, waiting = _known(waiting, outcomes)
                    yield known
                    if waiting:
                        raise BrokerUnavailable("the session was lost")
                return
        except BrokerUnavailable as error:
            if session == SESSIONS or not waiting:
                raise BrokerAwayError(_away(settings, error)) from error
            # The same events under the same ids: whoever heard one already takes no notice of the second.
            await asyncio.sleep(backoff(session))


async def _idle(publisher: Publisher, cls: type[Event]) -> list[str]:
    """The services that must hear `cls` and have no worker now. Raises NobodyListensError.

    The history hears everything, so the broker returns nothing as unroutable: the inboxes are asked for.
    """
    if not await publisher.has_exchange(events(cls.SAID_BY)):
        raise NobodyListensError(
            f"nobody would receive it: there is no exchange {events(cls.SAID_BY)} on this broker;"
            " start the workers first (python -m services run all)"
        )
    hearers = [r.service for r in CHOREOGRAPHY.reactions if r.hears is cls]
    counts = await publisher.counts([inbox(service) for service in hearers])
    missing = [inbox(service) for service in hearers if inbox(service) not in counts]
    if missing:
        raise NobodyListensError(
            f"nobody would receive it: there is no queue {' and no queue '.join(missing)} on this broker"
        )
    return [service for service in hearers if not counts[inbox(service)].consumers]


async def _paced(said: Iterable[Event], rate: float | None) -> AsyncIterator[list[Spoken]]:
    size = BATCH if rate is None else max(1, min(BATCH, round(rate * TICK_SECONDS)))
    remaining = iter(said)
    clock = asyncio.get_running_loop().time
    due = clock()
    while batch := list(itertools.islice(remaining, size)):
        await asyncio.sleep(max(0.0, due - clock()))
        yield [_spoken(event) for event in batch]
        if rate is not None:
            due += len(batch) / rate


def _spoken(event: Event) -> Spoken:
    now = dt.datetime.now(dt.UTC)
    envelope = wrap(event, id=str(uuid.uuid4()), source=SOURCE, time=now)
    properties = Properties(
        message_id=envelope.id,
        type=event.TYPE,
        correlation_id=event.commande_id,
        app_id=SOURCE.rpartition("/")[2],
        timestamp=now,
        content_type=CONTENT_TYPE,
    )
    message = Outgoing(events(event.SAID_BY), event.TYPE, envelope.to_bytes(), properties)
    return Spoken(event.commande_id, message)


def _known(batch: Sequence[Spoken], outcomes: Sequence[PublishOutcome]) -> tuple[list[Spoken], list[Spoken]]:
    """Those of `batch` whose fate is known, and those to be said again."""
    told = [Spoken(s.commande_id, s.outgoing, outcome) for s, outcome in zip(batch, outcomes, strict=True)]
    return (
        [spoken for spoken in told if spoken.outcome is not PublishOutcome.UNKNOWN],
        [spoken for spoken in told if spoken.outcome is PublishOutcome.UNKNOWN],
    )


def _away(settings: Settings, error: Exception) -> str:
    return f"the broker at {broker_address(settings.current('amqp_url')).place} does not answer: {error}"
