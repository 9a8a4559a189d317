"""What the broker says when it is asked: who consumes, how much waits, what the stream holds."""

import datetime as dt
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from choregraphie import BrokerRefused, BrokerUnavailable, Settings
from choregraphie.application import declared_topology
from choregraphie.broker import missing_bindings, open_history
from choregraphie.messaging import History, QueueCount
from choregraphie.saga.topology import HISTORY, Binding, dlq, inbox, retry, retry_queue
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.records.lenient_parsing import said_at

# Empty answers in a row before a stream that should go on is taken for broken: the broker's count of it may be
# seconds old, and a busy broker takes its time.
LONGEST_SILENCE = 20
_QUEUES = tuple(name(service) for service in CHOREOGRAPHY.services for name in (inbox, dlq))


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """The answers of one moment. `asked`: the queues that were asked for; one that is neither in `queues` nor in
    `unknown` does not exist. `unknown`: those that the broker refuses to count.

    `last_offset`: of the stream's newest entry, by the broker's count, which lags a little; -1 when it is empty,
    None when there is no stream. `first_offset`, `first_at`: of its oldest, when it holds one that is dated.
    `unbound`: the bindings that are missing, as far as the broker's management may be asked; `unasked`: why it
    could not be.
    """

    at: dt.datetime
    queues: Mapping[str, QueueCount]
    last_offset: int | None = None
    asked: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    first_offset: int | None = None
    first_at: dt.datetime | None = None
    unbound: tuple[Binding, ...] = ()
    unasked: str = ""

    def inbox(self, service: str) -> QueueCount | None:
        return self.queues.get(inbox(service))

    def dead_letters(self, service: str) -> int:
        found = self.queues.get(dlq(service))
        return found.messages if found else 0

    def retry_queues(self, service: str) -> list[str]:
        """Those of its queues for another try that were asked for, by name."""
        return sorted(name for name in self.asked if name.startswith(f"{retry(service)}."))

    def lacks(self, queue: str) -> bool:
        """Whether the broker said that there is no such queue."""
        return queue in self.asked and queue not in self.queues and queue not in self.unknown


async def facts(history: History, settings: Settings | None = None) -> BrokerStatus:
    """Ask, through an open history; the `settings` name the queues for another try, and the broker's management.

    Raises BrokerUnavailable when the broker is away.
    """
    delays = settings.retry_delays if settings else ()
    retries = [retry_queue(service, seconds) for service in CHOREOGRAPHY.services for seconds in delays]
    asked = frozenset({*_QUEUES, *retries, HISTORY})
    answers = await history.counts(sorted(asked))
    counted = {name: count for name, count in answers.items() if count is not None}
    stream = counted.get(HISTORY)
    first = await history.first() if stream and stream.messages else None
    last = first.offset + stream.messages - 1 if stream and first else -1
    unbound, unasked = await _unbound(settings, counted) if settings else ((), "")
    return BrokerStatus(
        dt.datetime.now(dt.UTC),
        counted,
        last if stream else None,
        asked,
        frozenset(answers.keys() - counted.keys()),
        first.offset if first else None,
        said_at(first) if first else None,
        unbound,
        unasked,
    )


async def _unbound(settings: Settings, queues: Mapping[str, QueueCount]) -> tuple[tuple[Binding, ...], str]:
    """The bindings that are missing of `queues`, those that exist; else why that is not known."""
    try:
        missing = await missing_bindings(settings, declared_topology(CHOREOGRAPHY, settings))
    except (BrokerUnavailable, BrokerRefused) as error:
        return (), str(error)
    return tuple(binding for binding in missing if binding.queue in queues), ""


def open_to_ask(settings: Settings) -> AbstractAsyncContextManager[History]:
    """A connection to ask on. Raises BrokerUnavailable or BrokerRefused when there is none to be had."""
    return open_history(settings)


async def ask_broker(settings: Settings) -> BrokerStatus | None:
    """Ask, on a connection of its own; None when the broker does not answer or refuses to."""
    try:
        async with open_to_ask(settings) as history:
            return await facts(history, settings)
    except (BrokerUnavailable, BrokerRefused):
        return None
