"""The abstract runs of one instance: what can be asked of them, and their full exploration. Pure.

The full exploration visits every state, breadth first. It is the reference for `reduction`, which visits fewer.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

from choregraphie.errors import UserError
from choregraphie.prover.model import Model
from choregraphie.prover.transitions import Fact, State, Transition, single
from choregraphie.saga.choreography import Choreography, EventClass, Reaction

Run = tuple[Transition, ...]

# About a minute of exploration; the shipped choreography has some thousands.
MOST_STATES = 2_000_000


class TooLarge(UserError):
    """A search of the choreography would visit more than `most` states."""

    def __init__(self, most: int) -> None:
        super().__init__(f"more than {most} states; check the saga in parts, or take reactions away")


@dataclass(frozen=True)
class Goal:
    """A kind of state: one fact of each of `needs`, none of `without`, and with `final` nothing left to happen."""

    needs: tuple[State, ...] = ()
    without: State = 0
    final: bool = False

    def holds(self, state: State) -> bool:
        """Whether `state` has these facts; not whether it is final."""
        return not state & self.without and all(state & one for one in self.needs)


def settled(model: Model, *reactions: Reaction) -> Goal:
    """All of `reactions` were settled."""
    return Goal(tuple(model.bit(Fact.SETTLED, reaction) for reaction in reactions))


@dataclass(frozen=True)
class Explored:
    """What an exploration visited. The reduced one counts neither runs (`paths`) nor final states (`ends`)."""

    states: int
    transitions: int
    paths: int | None = None
    ends: int | None = None


class Space(ABC):
    """The runs of one choreography."""

    model: Model

    @property
    @abstractmethod
    def explored(self) -> Explored:
        """What has been visited so far."""

    @abstractmethod
    def run_to(self, *goals: Goal) -> Run | None:
        """A run to a state in which one of `goals` holds, or None. Without `final` it is a shortest one.

        Raises TooLarge when there are more states than can be explored.
        """

    def path_to_hearing(self, reaction: Reaction) -> Run:
        """A shortest run that ends with `reaction` settled; empty when there is none."""
        return self.run_to(settled(self.model, reaction)) or ()

    def path_to_saying(self, event: EventClass) -> Run:
        """A shortest run that ends with `event` said; empty when there is none."""
        return self.run_to(Goal((self.model.bit(Fact.SAID, event),))) or ()

    def says(self, reaction: Reaction, event: EventClass) -> bool:
        """Whether `reaction` says `event` in some run."""
        wanted = reaction.service, reaction.hears, event
        return any(
            self.run_to(Goal(tuple(single(action.needs)), action.without)) is not None
            for action in self.model.actions
            if (action.transition.service, action.transition.hears, action.transition.says) == wanted
        )


@dataclass
class StateSpace(Space):
    """The explored states.

    predecessor       for each state, the transition by which it was first reached, and from which state
    final_states      the states in which no event is pending and no deadline runs
    transition_count  how many transitions lead out of all states together
    path_count        the number of different runs from the initial state to a final one
    """

    model: Model
    predecessor: dict[State, tuple[Transition, State | None]] = field(default_factory=dict)
    final_states: dict[State, None] = field(default_factory=dict)
    transition_count: int = 0
    path_count: int = 0

    @property
    def explored(self) -> Explored:
        return Explored(len(self.predecessor), self.transition_count, self.path_count, len(self.final_states))

    @property
    def states(self) -> Iterator[State]:
        """Every state, in the order of its distance from the initial one."""
        return iter(self.predecessor)

    def path_to(self, state: State) -> Run:
        """A shortest run to `state`."""
        transitions: list[Transition] = []
        at: State | None = state
        while at is not None:
            transition, at = self.predecessor[at]
            transitions.append(transition)
        return tuple(reversed(transitions))

    def run_to(self, *goals: Goal) -> Run | None:
        anywhere = [goal for goal in goals if not goal.final]
        at_end = [goal for goal in goals if goal.final]
        for state in self.predecessor if anywhere else self.final_states:
            final = at_end if state in self.final_states else ()
            if any(goal.holds(state) for goal in (*anywhere, *final)):
                return self.path_to(state)
        return None


def explore(choreography: Choreography, most: int = MOST_STATES) -> StateSpace:
    """Explore everything that can happen, level by level; a level is one transition further.

    Raises TooLarge when there are more than `most` states.
    """
    model = Model(choreography)
    space = StateSpace(model)
    transition, initial = model.initial()
    space.predecessor[initial] = (transition, None)
    level = {initial: 1}
    while level:
        level = _next_level(space, level)
        if len(space.predecessor) > most:
            raise TooLarge(most)
    return space


def _next_level(space: StateSpace, level: dict[State, int]) -> dict[State, int]:
    """The states one transition further, each with the number of paths that lead to it."""
    model, next_level = space.model, dict[State, int]()
    for state, paths in level.items():
        if model.is_final(state):
            space.final_states[state] = None
            space.path_count += paths
        for transition, after in model.transitions(state):
            space.transition_count += 1
            if after not in space.predecessor:
                space.predecessor[after] = (transition, state)
            next_level[after] = next_level.get(after, 0) + paths
    return next_level
