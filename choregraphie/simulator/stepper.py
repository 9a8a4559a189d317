"""The effects of one delivery on one service: the real code runs on its database, restored for each.

The clock stands still, so what a service does follows from its database, the content of its externals, and the
delivery. Databases that differ only in row numbers and instants are one state; each effect is computed once.
"""

import datetime as dt
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from choregraphie import Service, Settings
from choregraphie.messaging import Delivery, Outgoing
from choregraphie.pipeline.decoder import Decoder
from choregraphie.pipeline.executor import begin_calls, execute
from choregraphie.pipeline.republish import for_another_try, set_aside
from choregraphie.saga.topology import dlx, requeue
from choregraphie.service.verdict import DeadLetter, RetryAfter
from choregraphie.simulator.broker_model import Broker
from choregraphie.simulator.clock import EPOCH
from choregraphie.simulator.databases import Databases
from choregraphie.simulator.final_state import Tables
from choregraphie.simulator.interned_messages import MessageNumbers, PendingMessage
from choregraphie.simulator.isolation import run_now
from choregraphie.storage.invocation import Invocation, Result
from choregraphie.storage.store import Store, StoreLimits

DEADLINE_SECONDS = 60.0
DELAYS = (1.0,)
_LAST_TRY = len(DELAYS) + 1


class Refusal(Exception):
    """What a reaction or a call raises when this search lets it fail."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect of a step, and what it costs in faults.

    state  the number of the state of the service afterwards
    sent   the numbers of the messages it published
    dead   the numbers of its dead letters
    stays  the delivery comes again
    down   the worker is dead; its successor first publishes what the outbox holds
    """

    what: str
    cost: int
    state: int
    sent: tuple[int, ...] = ()
    dead: tuple[int, ...] = ()
    stays: bool = False
    down: bool = False


@dataclass(frozen=True)
class SavedState:
    """A state of a service: what to restore, its rows for the invariants, and its canonical form."""

    file: bytes
    externals: Any
    tables: Tables
    canonical: object


class Stepper:
    """The states and effects of one service. `messages` numbers the messages of all services."""

    def __init__(self, service: Service, databases: Databases, routes: Broker, messages: MessageNumbers) -> None:
        settings = Settings(database_url="sqlite://", retry_delays=DELAYS, deadline=DEADLINE_SECONDS)
        self.name = service.name
        self.service = service
        self.states: list[SavedState] = []
        self._known: dict[object, int] = {}
        self._databases = databases
        self._routes = routes
        self._messages = messages
        self._now = EPOCH
        self._externals = databases.scenario.instant_externals()
        database = databases.by_service[service.name]
        self._store = Store(service, database, StoreLimits.of(settings), lambda: self._now)
        self._decoder = Decoder(service)
        self._instants = databases.instants(service.name)
        self._effects: dict[tuple[int, int], tuple[Effect, ...]] = {}
        self._restarts: dict[int, tuple[Effect, ...]] = {}
        self._ticks: dict[int, tuple[Effect, ...]] = {}
        self.first = self._save()

    def effects(self, state: int, message: int) -> tuple[Effect, ...]:
        """Every effect of taking that message in that state."""
        if (state, message) not in self._effects:
            self._effects[state, message] = tuple(self._deliver(state, self._messages.of(message)))
        return self._effects[state, message]

    def restarts(self, state: int) -> tuple[Effect, ...]:
        """The effects of a restart: the new worker publishes what the dead one left, and may die after that."""
        if state not in self._restarts:
            self._restore(state)
            pending, _ = self._store.pending(100)
            sent = self._routed([event.outgoing(self.service) for event in pending])
            again = Effect("starts, publishes what was pending, and dies", 1, state, sent, down=True)
            self._store.mark_published([event.event_id for event in pending])
            self._restarts[state] = (
                Effect("starts again", 0, self._save(), sent),
                *([again] if sent else []),
            )
        return self._restarts[state]

    def ticks(self, state: int) -> tuple[Effect, ...]:
        """The effects of a deadline that passes for every instance that waits."""
        if state not in self._ticks:
            self._restore(state)
            self._now = EPOCH + dt.timedelta(seconds=2 * DEADLINE_SECONDS)
            results = [result for schedule in self.service.timed for result in self._store.tick(schedule)]
            self._now = EPOCH
            sent = self._routed([s.outgoing(self.service) for result in results for s in result.outbox_events])
            self._ticks[state] = (
                tuple(self._published("lets its deadline pass", 1, results, sent, ())) if results else ()
            )
        return self._ticks[state]

    def _deliver(self, state: int, message: PendingMessage) -> Iterator[Effect]:
        self._restore(state)
        delivery = message.delivery()
        invocation = self._decoder.decode(delivery)
        if isinstance(invocation, DeadLetter):
            yield Effect("dead-letters it", 0, state, dead=self._dead_lettered(delivery, invocation))
            return
        if invocation.handler.call:
            yield from self._with_call(state, invocation)
        else:
            yield from self._from_transaction(state, invocation, "takes it", 0)
        dead = self._messages.number(replace(message, exchange=dlx(self.name), set_aside_by_broker=True))
        yield Effect("dies of it until the broker dead-letters it", 1, state, dead=(dead,))
        if not invocation.handler.call:
            broken = invocation._replace(failure=Refusal("the reaction raised"))
            yield from self._from_transaction(state, broken, "fails with it", 1)
            yield from self._from_transaction(state, broken._replace(attempt=_LAST_TRY), "gives it up", 1)

    def _with_call(self, state: int, invocation: Invocation) -> Iterator[Effect]:
        """The effects of a delivery with an external call: made or not, its answer received or not."""
        ((invocation, view),) = begin_calls(self._store, [invocation])
        begun = self._save()
        if view is None:
            yield from self._from_transaction(begun, invocation, "takes it", 0)
            return
        if begun != state:
            yield Effect("dies before the call", 1, begun, stays=True, down=True)
        assert invocation.handler.call is not None  # noqa: S101 - the caller's choice
        answer = run_now(invocation.handler.call(view.heard, view, self._externals))
        called = self._save()
        if called != begun:
            yield Effect("dies after the call", 1, called, stays=True, down=True)
        yield from self._from_transaction(called, invocation._replace(answer=answer), "takes it", 0)
        for after, failure in ((begun, "the call fails"), (called, "the answer is lost"))[: 1 + (called != begun)]:
            failed = invocation._replace(failure=Refusal(failure))
            yield from self._from_transaction(after, failed, f"{failure}, it will try again", 1)
            yield from self._from_transaction(
                after, failed._replace(attempt=_LAST_TRY), f"{failure} to the last, it gives up", 1
            )
        yield from self._card_refused(begun, invocation, view)

    def _card_refused(self, begun: int, invocation: Invocation, view: Any) -> Iterator[Effect]:
        """The effects of a refused card."""
        assert invocation.handler.call is not None  # noqa: S101 - the caller's choice
        self._restore(begun)
        if self._externals.refuse_next(view.idempotency_key()):
            answer = run_now(invocation.handler.call(view.heard, view, self._externals))
            yield from self._from_transaction(
                self._save(), invocation._replace(answer=answer), "takes it, and the card is refused", 1
            )

    def _from_transaction(self, state: int, invocation: Invocation, what: str, cost: int) -> Iterator[Effect]:
        """The effects from the transaction on: published and acknowledged, or cut off at any point."""
        self._restore(state)
        (result,) = execute(self._store, [invocation], DELAYS, [])
        outgoing = [event.outgoing(self.service) for event in result.outbox_events]
        dead: tuple[int, ...] = ()
        if isinstance(result.verdict, RetryAfter):
            retried = for_another_try(invocation.delivery, result.verdict, self.name, 1000, EPOCH)
            yield from self._published(what, cost, [result], (self._retried(invocation, retried),), ())
            return
        if isinstance(result.verdict, DeadLetter):
            dead = self._dead_lettered(invocation.delivery, result.verdict)
        yield from self._published(what, cost, [result], self._routed(outgoing), dead)

    def _published(
        self, what: str, cost: int, results: Sequence[Result], sent: tuple[int, ...], dead: tuple[int, ...]
    ) -> Iterator[Effect]:
        pending = self._save()
        self._store.mark_published([event.event_id for result in results for event in result.outbox_events])
        published = self._save()
        redelivered = results[0].delivery is not None
        yield Effect(what, cost, published, sent, dead)
        if redelivered:
            yield Effect(f"{what}, and it comes again", cost + 1, published, sent, dead, stays=True)
        if pending != published:
            yield Effect(f"{what}, dies before publishing", cost + 1, pending, stays=redelivered, down=True)
            yield Effect(
                f"{what}, publishes and dies", cost + 1, pending, sent, dead, stays=redelivered, down=True
            )

    def _restore(self, state: int) -> None:
        saved = self.states[state]
        self._databases.restore(self.name, zlib.decompress(saved.file))
        self._externals = saved.externals.copy()

    def _save(self) -> int:
        """The number of the current state."""
        tables = self._databases.tables(self.name)
        canonical = (
            self._externals.canonical(),
            *(_canonical(rows, self._instants[name]) for name, rows in tables.items()),
        )
        if canonical not in self._known:
            self._known[canonical] = len(self.states)
            file = zlib.compress(self._databases.save(self.name), 1)
            self.states.append(SavedState(file, self._externals.copy(), tables, canonical))
        return self._known[canonical]

    def _routed(self, outgoing: Sequence[Outgoing]) -> tuple[int, ...]:
        return tuple(n for message in outgoing for n in self._messages.routed_copies(message, self._routes))

    def _retried(self, invocation: Invocation, retried: Outgoing) -> int:
        """The number of a retried message, which comes back to this service alone."""
        headers = tuple(sorted(retried.headers.items()))
        name = invocation.identity.id
        publisher, key = invocation.event.SAID_BY, retried.routing_key
        return self._messages.number(
            PendingMessage(self.name, retried.body, requeue(self.name), key, publisher, headers, name)
        )

    def _dead_lettered(self, delivery: Delivery, verdict: DeadLetter) -> tuple[int, ...]:
        dead = set_aside(delivery, verdict, self.name, EPOCH)
        headers = tuple(sorted(dead.headers.items()))
        publisher = delivery.properties.app_id or ""
        name = delivery.properties.message_id or ""
        message = PendingMessage(self.name, dead.body, dlx(self.name), dead.routing_key, publisher, headers, name)
        return (self._messages.number(message),)


def _canonical(rows: Sequence[dict[str, Any]], instants: frozenset[str]) -> tuple[Any, ...]:
    """The rows without their numbers; of an instant, only whether there is one."""
    plain = (
        tuple((k, v is not None if k in instants else v) for k, v in row.items() if k != "number") for row in rows
    )
    return tuple(sorted(plain, key=repr))
