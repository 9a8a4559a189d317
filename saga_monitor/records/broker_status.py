"""The state of the broker: consumers and messages of each queue, missing bindings, the stream."""

import asyncio
import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from enum import StrEnum

from choregraphie import BrokerRefused, BrokerUnavailable, Settings
from choregraphie.application import declared_topology
from choregraphie.broker import QueueState, missing_bindings, open_history, queue_states
from choregraphie.messaging import History, QueueCount
from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import HISTORY, Binding, dlq, inbox, retry, retry_queue
from saga_monitor.records.timestamps import said_at

# Empty answers in a row before a stream that should continue counts as broken: the broker's count may be seconds
# old, and a busy broker is slow.
LONGEST_SILENCE = 20
# A problem of a queue counts from then on: a leader is elected, and a message dead-lettered, within a moment; and
# the management's figures are up to 10 s old (5 s of the queue's own interval, 5 s of the management's).
LASTING = dt.timedelta(seconds=15)


class Problem(StrEnum):
    """What can be wrong with a queue that exists. Each passes by itself in a moment, or never."""

    NO_LEADER = "no_leader"
    HIDDEN = "hidden"  # it holds messages that are neither ready nor delivered
    NO_FIGURES = "no_figures"  # the management does not say what it holds


@dataclass(frozen=True, slots=True)
class QueueProblem:
    """`since`: when it was first seen, in an unbroken row of looks. `count`: of the messages that are hidden."""

    queue: str
    problem: Problem
    since: dt.datetime
    count: int = 1


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """The answers of one moment. `asked`: the queues that were asked for; one that is neither in `queues` nor in
    `unknown` does not exist. `unknown`: those that the broker refuses to count, and those without a leader, for
    which it answers 0 whatever they hold.

    `last_offset`: of the stream's newest entry, by the broker's count, which lags a little; -1 when it is empty,
    None when there is no stream. `first_offset`, `first_at`: of its oldest, when it holds one that is dated.
    `unbound`: the bindings that are missing, as far as the broker's management may be asked; `unasked`: why it
    could not be. `problems`: of queues that exist, as the management says; `lasting` has those that count.
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
    problems: tuple[QueueProblem, ...] = ()

    def inbox(self, service: str) -> QueueCount | None:
        return self.queues.get(inbox(service))

    def dead_letters(self, service: str) -> int | None:
        """The number of messages in the service's dead-letter queue; None when unknown."""
        if dlq(service) in self.unknown:
            return None
        found = self.queues.get(dlq(service))
        return found.messages if found else 0

    def lasting(self, problem: Problem) -> list[QueueProblem]:
        """The queues that have had `problem` for longer than a moment."""
        return [one for one in self.problems if one.problem is problem and self.at - one.since >= LASTING]

    def is_leaderless(self, queue: str) -> bool:
        return any(one.queue == queue and one.problem is Problem.NO_LEADER for one in self.problems)

    def retry_queues(self, service: str) -> list[str]:
        """The names of the service's retry queues that were asked for."""
        return sorted(name for name in self.asked if name.startswith(f"{retry(service)}."))

    def lacks(self, queue: str) -> bool:
        """Whether the broker said that the queue does not exist."""
        return queue in self.asked and queue not in self.queues and queue not in self.unknown


async def read_broker_status(
    history: History, sagas: SagaSet, settings: Settings | None = None, before: BrokerStatus | None = None
) -> BrokerStatus:
    """Ask about the queues of `sagas`, through an open history. Raises BrokerUnavailable when the broker is away.

    `settings` name the queues for another try, and the broker's management; `before`: what the last look found.
    """
    asked = frozenset({*_queues(sagas, settings), HISTORY})
    answers = await history.counts(sorted(asked))
    told = await _ask_management(sagas, settings, answers) if settings else _Management()
    now = dt.datetime.now(dt.UTC)
    problems = tuple(_dated(problem, before) for problem in _problems(told.queues, answers, now))
    leaderless = {one.queue for one in problems if one.problem is Problem.NO_LEADER}
    counted = {name: n for name, n in answers.items() if n is not None and name not in leaderless}
    stream = counted.get(HISTORY)
    first = await history.first() if stream and stream.messages else None
    last = first.offset + stream.messages - 1 if stream and first else -1
    return BrokerStatus(
        now,
        counted,
        last if stream else None,
        asked,
        frozenset(answers.keys() - counted.keys()),
        first.offset if first else None,
        said_at(first, now) if first else None,
        told.unbound,
        told.unasked,
        problems,
    )


def _queues(sagas: SagaSet, settings: Settings | None) -> Iterator[str]:
    for service in sagas.services:
        yield from (inbox(service), dlq(service))
        delays = sagas.delays_of(service, settings.retry_delays) if settings else ()
        yield from (retry_queue(service, seconds) for seconds in delays)


@dataclass(frozen=True, slots=True)
class _Management:
    """What the management said; `queues`: None when it was not asked."""

    queues: Mapping[str, QueueState] | None = None
    unbound: tuple[Binding, ...] = ()
    unasked: str = ""


async def _ask_management(sagas: SagaSet, settings: Settings, exist: Collection[str]) -> _Management:
    """The missing bindings of the queues that `exist`, and the state of all queues; else why not."""
    try:
        missing = await missing_bindings(settings, declared_topology(sagas, settings))
        queues = await queue_states(settings)
    except (BrokerUnavailable, BrokerRefused) as error:
        return _Management(unasked=str(error))
    return _Management(queues, tuple(binding for binding in missing if binding.queue in exist))


def _problems(
    queues: Mapping[str, QueueState] | None, exist: Collection[str], now: dt.datetime
) -> Iterator[QueueProblem]:
    if queues is None:
        return
    for name in sorted(exist):
        state = queues.get(name, QueueState(served=True, hidden=None))
        if not state.served:
            yield QueueProblem(name, Problem.NO_LEADER, now)
        elif name == HISTORY:
            continue  # a stream has no dead letters
        elif state.hidden is None:
            yield QueueProblem(name, Problem.NO_FIGURES, now)
        elif state.hidden:
            yield QueueProblem(name, Problem.HIDDEN, now, state.hidden)


def _dated(problem: QueueProblem, before: BrokerStatus | None) -> QueueProblem:
    known = before.problems if before else ()
    same = (one.since for one in known if (one.queue, one.problem) == (problem.queue, problem.problem))
    return replace(problem, since=next(same, problem.since))


def open_to_ask(settings: Settings) -> AbstractAsyncContextManager[History]:
    """Opens a connection for questions. Raises BrokerUnavailable or BrokerRefused."""
    return open_history(settings)


async def ask_broker(
    settings: Settings, sagas: SagaSet, before_waiting: Callable[[BrokerStatus], object] = lambda _: None
) -> BrokerStatus | None:
    """Ask, on a connection of its own; None when the broker does not answer or refuses to.

    A problem of a queue may pass: then `before_waiting` is called, and the broker is asked again after `LASTING`;
    once more for one that began meanwhile, as that of a queue just declared, which has no figures at first.
    """
    try:
        async with open_to_ask(settings) as history:
            found = await read_broker_status(history, sagas, settings)
            for _ in range(2):
                if all(found.at - one.since >= LASTING for one in found.problems):
                    break
                before_waiting(found)
                await asyncio.sleep(LASTING.total_seconds())
                found = await read_broker_status(history, sagas, settings, found)
            return found
    except (BrokerUnavailable, BrokerRefused):
        return None
