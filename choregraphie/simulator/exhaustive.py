"""An exhaustive search of a small scope: every order of every step, with a bounded number of faults.

The search goes breadth first. A state holds the content of the services' databases and of the externals, the
messages in transit (any of them may be delivered next, so every overtaking is covered), the dead letters, and
which services are down. Three reductions leave out transitions without missing any end:

* A message that changes nothing and says nothing (a repetition) is taken at once, and alone. Its step commutes
  with every other. A fault during it leaves the databases as they are; at most the repetition is in transit once
  more, or a dead letter, where it would only exempt its instance from some of the invariants.
* A service that no service hears (the last of the saga) takes its messages only when no other service has any.
  No step of another service reads what it does, so every run has the same end as one in which it comes last.
* A state that was reached before with as many faults left or more is not expanded again.

`tests/choregraphie/simulator/test_exhaustive.py` compares the first two with a search without them. The search
does not cover these cases, which the random runs (`run.py`) do:

* A delivery takes one step from its beginning to its commit: no other delivery of the same service comes during
  its external call, and no call succeeds after its caller's timeout.
* A service has one worker, which takes one delivery at a time: there are no groups, and no session is lost with
  several deliveries unacknowledged.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from choregraphie.saga.choreography import Choreography
from choregraphie.saga.topology import requeue, topology
from choregraphie.simulator.broker_model import Broker
from choregraphie.simulator.databases import Databases
from choregraphie.simulator.final_state import FinalState
from choregraphie.simulator.interned_messages import MessageNumbers, PendingMessage
from choregraphie.simulator.isolation import without_logs
from choregraphie.simulator.plan import Scope
from choregraphie.simulator.queues import Death, Message
from choregraphie.simulator.stepper import DELAYS, Effect, Stepper
from choregraphie.simulator.trace import TraceEntry

Multiset = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class State:
    """A state: the number of each service's state, and sorted numbers of messages in transit and dead letters.

    `down`: which services are down, as bits.
    """

    services: tuple[int, ...]
    messages: Multiset
    dead: Multiset = ()
    down: int = 0


@dataclass
class SearchResult:
    """The result of a search. `path` leads to the first end that violates an invariant."""

    scope: str
    states: int = 0
    transitions: int = 0
    ends: int = 0
    violations: Sequence[str] = ()
    path: list[TraceEntry] = field(default_factory=list)
    speakers: tuple[str, ...] = ()


class Search:
    """A search of `scope` with at most `faults` faults in a run.

    `ended`: at each end, the states of the services and the dead letters.
    """

    def __init__(self, scope: Scope, faults: int, databases: Databases) -> None:
        databases.reset()
        self._scope = scope
        self._scenario = databases.scenario
        self._faults = faults
        self._messages = MessageNumbers()
        self._routes = Broker(topology(self._scenario.saga_set, DELAYS))
        self._steppers = [Stepper(s, databases, self._routes, self._messages) for s in databases.services.values()]
        self._index = {stepper.name: number for number, stepper in enumerate(self._steppers)}
        self._last = [
            number for name, number in self._index.items() if not _is_heard(name, self._scenario.choreography)
        ]
        self._left: dict[State, int] = {}
        self._from: dict[State, tuple[State, int, int, str]] = {}
        self.ended: set[tuple[tuple[int, ...], Multiset]] = set()
        self._violations_at: dict[tuple[tuple[int, ...], Multiset], list[str]] = {}

    def run(self) -> SearchResult:
        with without_logs():
            return self._run()

    def _run(self) -> SearchResult:
        found = SearchResult(self._scope.name, speakers=self._scenario.choreography.speakers)
        first = self._first()
        layers: list[deque[State]] = [deque() for _ in range(self._faults + 1)]
        self._left[first] = self._faults
        layers[self._faults].append(first)
        # States with the most faults left come first, so that none is expanded twice.
        for left in range(self._faults, -1, -1):
            while layers[left]:
                state = layers[left].popleft()
                if self._left[state] == left and not self._expand(state, left, layers, found):
                    return found
        found.states = len(self._left)
        return found

    def _first(self) -> State:
        messages = [
            n
            for action in self._scope.actions
            for n in self._messages.routed_copies(self._scenario.workload.message_of(action), self._routes)
        ]
        return State(tuple(stepper.first for stepper in self._steppers), tuple(sorted(messages)))

    def _expand(self, state: State, left: int, layers: list[deque[State]], found: SearchResult) -> bool:
        """Follow every step from `state`. Returns whether no invariant is violated there."""
        if not state.messages and not state.down:
            found.ends += 1
            self.ended.add((state.services, state.dead))
            violations = self._violations(state)
            if violations:
                found.violations, found.path, found.states = violations, self._path(state), len(self._left)
                return False
        for service, message, effect in self._steps(state):
            remaining = left - effect.cost
            if remaining < 0:
                continue
            found.transitions += 1
            after = self._after(state, service, message, effect)
            if self._left.get(after, -1) < remaining:
                self._left[after] = remaining
                self._from[after] = (state, service, message, effect.what)
                layers[remaining].append(after)
        return True

    def _steps(self, state: State) -> Iterator[tuple[int, int, Effect]]:
        """The steps to follow: service, number of the message taken (-1: none), effect. Reduced as said above."""
        by_service = self._deliverable(state)
        for service, message in by_service:
            effects = self._steppers[service].effects(state.services[service], message)
            normal = next(effect for effect in effects if not effect.cost)
            if normal.state == state.services[service] and not normal.sent and not normal.dead:
                yield service, message, normal
                return
        busy = [pair for pair in by_service if pair[0] not in self._last]
        downs = [n for n in range(len(self._steppers)) if state.down >> n & 1]
        others_rest = not busy and all(n in self._last for n in downs)
        yield from self._every(state, by_service if others_rest else busy, downs)

    def _every(
        self, state: State, taken: list[tuple[int, int]], downs: list[int]
    ) -> Iterator[tuple[int, int, Effect]]:
        """Every effect of taking one of `taken`, of a restart, of a deadline and of an operator."""
        for service, message in taken:
            for effect in self._steppers[service].effects(state.services[service], message):
                yield service, message, effect
        for service in downs:
            for effect in self._steppers[service].restarts(state.services[service]):
                yield service, -1, effect
        yield from self._by_themselves(state)

    def _deliverable(self, state: State) -> list[tuple[int, int]]:
        pairs = (
            (self._index[self._messages.of(message).service], message) for message in dict.fromkeys(state.messages)
        )
        return [(service, message) for service, message in pairs if not state.down >> service & 1]

    def _by_themselves(self, state: State) -> Iterator[tuple[int, int, Effect]]:
        """The deadlines, and an operator who redrives dead letters."""
        for number, stepper in enumerate(self._steppers):
            if not state.down >> number & 1:
                for effect in stepper.ticks(state.services[number]):
                    yield number, -1, effect
        for message in dict.fromkeys(state.dead):
            service = self._index[self._messages.of(message).service]
            back = self._messages.number(_redriven(self._messages.of(message)))
            what = f"has {self._messages.of(message).routing_key} sent back to it"
            yield service, -2 - message, Effect(what, 1, state.services[service], sent=(back,))

    def _after(self, state: State, service: int, message: int, effect: Effect) -> State:
        messages, dead = [*state.messages, *effect.sent], [*state.dead, *effect.dead]
        if message >= 0 and not effect.stays:
            messages.remove(message)
        if message <= -2:
            dead.remove(-2 - message)
        services = (*state.services[:service], effect.state, *state.services[service + 1 :])
        down = state.down | 1 << service if effect.down else state.down & ~(1 << service)
        down = state.down if message <= -2 else down  # an operator starts no service
        return State(services, tuple(sorted(messages)), tuple(sorted(dead)), down)

    def _violations(self, state: State) -> list[str]:
        key = (state.services, state.dead)
        if key not in self._violations_at:
            self._violations_at[key] = self._scenario.violations(self._final_state(state))
        return self._violations_at[key]

    def _final_state(self, state: State) -> FinalState:
        saved = {s.name: s.states[number] for s, number in zip(self._steppers, state.services, strict=True)}
        said = [
            Message(row["body"], stepper.service.exchange_for(row["type"]), row["type"])
            for stepper in self._steppers
            for row in saved[stepper.name].tables["outbox"]
        ]
        first = [_message(self._messages.of(n)) for n in self._first().messages]
        dead: dict[str, list[Message]] = {name: [] for name in saved}
        for number in state.dead:
            dead[self._messages.of(number).service].append(_message(self._messages.of(number)))
        return self._scenario.final_state(
            tables={name: service.tables for name, service in saved.items()},
            dead=dead,
            history=[*first, *said],
            actions=self._scope.actions,
            externals=self._scenario.externals_content(
                {name: service.externals for name, service in saved.items()}
            ),
            may_fail=saved.keys(),
        )

    def _path(self, state: State) -> list[TraceEntry]:
        entries: list[TraceEntry] = []
        while state in self._from:
            state, service, number, what = self._from[state]
            message = self._messages.of(number) if number >= 0 else None
            name = self._steppers[service].name
            taken = f"{message.routing_key}: {what}" if message else what
            entries.append(TraceEntry(0.0, name, taken, message.publisher if message else "", name, ""))
        return entries[::-1]


def _is_heard(service: str, choreography: Choreography) -> bool:
    """Whether any service hears what `service` says."""
    return any(choreography.heard & set(reaction.says) for reaction in choreography.heard_by(service))


def _redriven(message: PendingMessage) -> PendingMessage:
    return replace(message, exchange=requeue(message.service), headers=(), set_aside_by_broker=False)


def _message(message: PendingMessage) -> Message:
    deaths = (Death("", "delivery_limit", "", ""),) if message.set_aside_by_broker else ()
    return Message(message.body, message.exchange, message.routing_key, dict(message.headers), deaths=deaths)
