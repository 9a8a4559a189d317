"""Every order of every step of a small scope, with up to so many faults: breadth first over all states.

A state is what the services' databases and the outside hold, the messages on their way (any may be delivered next:
every overtaking is tried), the dead letters, and who is down. What is left out, and why nothing is missed by it:

* A message that changes nothing and says nothing (a repetition) is taken at once and alone. Its step commutes with
  every other; a fault at it leaves the databases as they are and, at most, the repetition on its way once more or
  among the dead letters, where it would only excuse its order from some of the invariants.
* A service that nobody hears (the last of the saga) takes its messages only when all others have nothing to take.
  No step of another service reads what it does, so every run has the same end as one in which it comes last.
* A state that was met with as many faults left or more is not met again: whatever can follow has been followed.

`tests/choregraphie/simulator/test_search.py` compares the first two with a search without them. What is not
searched at all, and left to the random runs (`run.py`), which have it:

* A delivery goes from its beginning to its commit in one step. No other delivery of the same service comes while
  its call is under way, and no call reaches the outside after the caller has lost patience.
* A service has one worker, which takes one delivery at a time: no groups, and no session lost with several held.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from choregraphie.saga.choreography import Choreography
from choregraphie.saga.topology import events, requeue, topology
from choregraphie.simulator.broker_model import Broker
from choregraphie.simulator.databases import Books
from choregraphie.simulator.final_state import FinalState
from choregraphie.simulator.interned_messages import Letter, Numbers
from choregraphie.simulator.isolation import silence
from choregraphie.simulator.queues import Death, Message
from choregraphie.simulator.scenario import Scope
from choregraphie.simulator.stepper import DELAYS, Effect, Stepper
from choregraphie.simulator.trace import Line

Bag = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class State:
    """`services`: each one's state; `letters`, `dead`: sorted numbers; `down`: who is dead, as bits."""

    services: tuple[int, ...]
    letters: Bag
    dead: Bag = ()
    down: int = 0


@dataclass
class Found:
    """What a search came to. `path` leads to the first end that breaks an invariant."""

    scope: str
    states: int = 0
    transitions: int = 0
    ends: int = 0
    violations: Sequence[str] = ()
    path: list[Line] = field(default_factory=list)


class Search:
    """`faults`: how many may happen in one run. `ended`: the services' states and the dead letters at each end."""

    def __init__(self, scope: Scope, faults: int, books: Books) -> None:
        books.reset()
        self._scope = scope
        self._scenario = books.scenario
        self._faults = faults
        self._letters = Numbers()
        self._routes = Broker(topology(self._scenario.choreography, DELAYS))
        self._steppers = [Stepper(s, books, self._routes, self._letters) for s in books.services.values()]
        self._index = {stepper.name: number for number, stepper in enumerate(self._steppers)}
        self._last = [
            number for name, number in self._index.items() if not _is_heard(name, self._scenario.choreography)
        ]
        self._left: dict[State, int] = {}
        self._from: dict[State, tuple[State, int, int, str]] = {}
        self.ended: set[tuple[tuple[int, ...], Bag]] = set()
        self._judged: dict[tuple[tuple[int, ...], Bag], list[str]] = {}

    def run(self) -> Found:
        with silence():
            return self._run()

    def _run(self) -> Found:
        found = Found(self._scope.name)
        first = self._first()
        layers: list[deque[State]] = [deque() for _ in range(self._faults + 1)]
        self._left[first] = self._faults
        layers[self._faults].append(first)
        # Those with the most faults left first, so that no state is opened twice.
        for left in range(self._faults, -1, -1):
            while layers[left]:
                state = layers[left].popleft()
                if self._left[state] == left and not self._open(state, left, layers, found):
                    return found
        found.states = len(self._left)
        return found

    def _first(self) -> State:
        letters = [
            n
            for act in self._scope.acts
            for n in self._letters.routed(self._scenario.message_of(act), self._routes)
        ]
        return State(tuple(stepper.first for stepper in self._steppers), tuple(sorted(letters)))

    def _open(self, state: State, left: int, layers: list[deque[State]], found: Found) -> bool:
        """Follow every step from `state`; whether nothing is wrong with it."""
        if not state.letters and not state.down:
            found.ends += 1
            self.ended.add((state.services, state.dead))
            broken = self._judge(state)
            if broken:
                found.violations, found.path, found.states = broken, self._path(state), len(self._left)
                return False
        for service, letter, effect in self._steps(state):
            remaining = left - effect.cost
            if remaining < 0:
                continue
            found.transitions += 1
            after = self._after(state, service, letter, effect)
            if self._left.get(after, -1) < remaining:
                self._left[after] = remaining
                self._from[after] = (state, service, letter, effect.what)
                layers[remaining].append(after)
        return True

    def _steps(self, state: State) -> Iterator[tuple[int, int, Effect]]:
        """Each: the service, the number of the letter taken (-1: none), and how it goes; reduced as said above."""
        by_service = self._deliverable(state)
        for service, letter in by_service:
            effects = self._steppers[service].effects(state.services[service], letter)
            normal = next(effect for effect in effects if not effect.cost)
            if normal.state == state.services[service] and not normal.sent and not normal.dead:
                yield service, letter, normal
                return
        busy = [pair for pair in by_service if pair[0] not in self._last]
        downs = [n for n in range(len(self._steppers)) if state.down >> n & 1]
        others_rest = not busy and all(n in self._last for n in downs)
        yield from self._every(state, by_service if others_rest else busy, downs)

    def _every(
        self, state: State, taken: list[tuple[int, int]], downs: list[int]
    ) -> Iterator[tuple[int, int, Effect]]:
        """Every way in which one of `taken` can go, and whatever happens by itself."""
        for service, letter in taken:
            for effect in self._steppers[service].effects(state.services[service], letter):
                yield service, letter, effect
        for service in downs:
            for effect in self._steppers[service].restarts(state.services[service]):
                yield service, -1, effect
        yield from self._by_themselves(state)

    def _deliverable(self, state: State) -> list[tuple[int, int]]:
        pairs = (
            (self._index[self._letters.of(letter).service], letter) for letter in dict.fromkeys(state.letters)
        )
        return [(service, letter) for service, letter in pairs if not state.down >> service & 1]

    def _by_themselves(self, state: State) -> Iterator[tuple[int, int, Effect]]:
        """The clock, and an operator who sends dead letters back."""
        for number, stepper in enumerate(self._steppers):
            if not state.down >> number & 1:
                for effect in stepper.ticks(state.services[number]):
                    yield number, -1, effect
        for letter in dict.fromkeys(state.dead):
            service = self._index[self._letters.of(letter).service]
            back = self._letters.number(_redriven(self._letters.of(letter)))
            what = f"has {self._letters.of(letter).routing_key} sent back to it"
            yield service, -2 - letter, Effect(what, 1, state.services[service], sent=(back,))

    def _after(self, state: State, service: int, letter: int, effect: Effect) -> State:
        letters, dead = [*state.letters, *effect.sent], [*state.dead, *effect.dead]
        if letter >= 0 and not effect.stays:
            letters.remove(letter)
        if letter <= -2:
            dead.remove(-2 - letter)
        services = (*state.services[:service], effect.state, *state.services[service + 1 :])
        down = state.down | 1 << service if effect.down else state.down & ~(1 << service)
        down = state.down if letter <= -2 else down  # what an operator does starts nobody
        return State(services, tuple(sorted(letters)), tuple(sorted(dead)), down)

    def _judge(self, state: State) -> list[str]:
        key = (state.services, state.dead)
        if key not in self._judged:
            self._judged[key] = self._scenario.violations(self._facts(state))
        return self._judged[key]

    def _facts(self, state: State) -> FinalState:
        kept = {s.name: s.states[number] for s, number in zip(self._steppers, state.services, strict=True)}
        said = [
            Message(row["body"], events(name), row["type"])
            for name, service in kept.items()
            for row in service.tables["outbox"]
        ]
        first = [_message(self._letters.of(n)) for n in self._first().letters]
        dead: dict[str, list[Message]] = {name: [] for name in kept}
        for number in state.dead:
            dead[self._letters.of(number).service].append(_message(self._letters.of(number)))
        return self._scenario.final_state(
            tables={name: service.tables for name, service in kept.items()},
            dead=dead,
            history=[*first, *said],
            acts=self._scope.acts,
            externals=self._scenario.outside_of({name: service.externals for name, service in kept.items()}),
            may_fail=kept.keys(),
        )

    def _path(self, state: State) -> list[Line]:
        lines: list[Line] = []
        while state in self._from:
            state, service, number, what = self._from[state]
            letter = self._letters.of(number) if number >= 0 else None
            name = self._steppers[service].name
            taken = f"{letter.routing_key}: {what}" if letter else what
            lines.append(Line(0.0, name, taken, letter.by if letter else "", name, ""))
        return lines[::-1]


def _is_heard(service: str, choreography: Choreography) -> bool:
    """Whether anything that `service` says is heard by a service."""
    return any(choreography.heard & set(reaction.says) for reaction in choreography.heard_by(service))


def _redriven(letter: Letter) -> Letter:
    return replace(letter, exchange=requeue(letter.service), headers=(), died=False)


def _message(letter: Letter) -> Message:
    deaths = (Death("", "delivery_limit", "", ""),) if letter.died else ()
    return Message(letter.body, letter.exchange, letter.routing_key, dict(letter.headers), deaths=deaths)
