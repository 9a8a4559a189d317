"""What the broker says when it is asked: who consumes, how much waits, how long the stream is."""

import datetime as dt
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from contracts.choreography import CHOREOGRAPHY
from contracts.topology import HISTORY, Topology, dlq, inbox
from services.runtime import (
    BrokerRefused,
    BrokerTrouble,
    History,
    QueueCount,
    Settings,
    open_history,
)

# Asking must not mend what it asks about: nothing is declared on the way.
_NOTHING = Topology((), (), ())
# Empty answers in a row before a stream that should go on is taken for broken: the broker's count of it may be
# seconds old, and a busy broker takes its time.
LONGEST_SILENCE = 20
_QUEUES = tuple(name(service) for service in CHOREOGRAPHY.services for name in (inbox, dlq))


@dataclass(frozen=True, slots=True)
class Facts:
    """The answers of one moment. A queue that is not in `queues` does not exist.

    `last_offset`: of the stream's newest entry, by the broker's count, which lags a little; -1 when it is empty,
    None when there is no stream.
    """

    at: dt.datetime
    queues: Mapping[str, QueueCount]
    last_offset: int | None = None

    def inbox(self, service: str) -> QueueCount | None:
        return self.queues.get(inbox(service))

    def dead_letters(self, service: str) -> int:
        found = self.queues.get(dlq(service))
        return found.messages if found else 0


async def facts(history: History) -> Facts:
    """Ask, through an open history. Raises BrokerTrouble when the broker is away."""
    queues = await history.counts([*_QUEUES, HISTORY])
    stream = queues.get(HISTORY)
    first = await history.first() if stream and stream.messages else None
    last = first.offset + stream.messages - 1 if stream and first else -1
    return Facts(dt.datetime.now(dt.UTC), queues, last if stream else None)


def open_to_ask(settings: Settings) -> AbstractAsyncContextManager[History]:
    """A connection to ask on. Raises BrokerTrouble or BrokerRefused when there is none to be had."""
    return open_history(settings, _NOTHING)


async def ask_broker(settings: Settings) -> Facts | None:
    """Ask, on a connection of its own; None when the broker does not answer or refuses to."""
    try:
        async with open_to_ask(settings) as history:
            return await facts(history)
    except (BrokerTrouble, BrokerRefused):
        return None
