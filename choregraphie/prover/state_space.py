"""The abstract runs of one instance, explored breadth first, with a shortest run to each state. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from choregraphie.errors import UserError
from choregraphie.prover.transitions import Model, State, Transition
from choregraphie.saga.choreography import Choreography, EventClass, Reaction

Run = tuple[Transition, ...]

# About a minute of exploration; the shipped choreography has some thousands.
MOST_STATES = 2_000_000


class TooLarge(UserError):
    """The choreography has more states than can be explored."""


@dataclass
class StateSpace:
    """The explored states.

    predecessor       for each state, the transition by which it was first reached, and from which state
    final_states      the states in which no event is pending and no deadline runs
    transitions       every transition that occurs
    transition_count  how many transitions lead out of all states together
    path_count        the number of different runs from the initial state to a final one
    """

    model: Model
    predecessor: dict[State, tuple[Transition, State | None]] = field(default_factory=dict)
    final_states: list[State] = field(default_factory=list)
    transitions: set[Transition] = field(default_factory=set)
    transition_count: int = 0
    path_count: int = 0

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

    def first(self, predicate: Callable[[State], bool]) -> State | None:
        """The state nearest to the initial one for which `predicate` holds, or None."""
        return next((state for state in self.predecessor if predicate(state)), None)

    def path_to_hearing(self, reaction: Reaction) -> Run:
        """A shortest run that ends with `reaction` settled; empty when there is none."""
        found = self.first_settling([reaction])
        return self.path_to(found) if found else ()

    def first_settling(self, reactions: Sequence[Reaction]) -> State | None:
        """The state nearest to the initial one in which all of `reactions` are settled, or None."""
        bits = self.model.bits(reactions)
        return self.first(lambda state: state.settled & bits == bits)

    def path_to_saying(self, event: EventClass) -> Run:
        """A shortest run that ends with `event` said; empty when there is none."""
        found = self.first(lambda state: self.model.said(state, event))
        return self.path_to(found) if found else ()


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
            raise TooLarge(f"more than {most} states; check the saga in parts, or take reactions away")
    return space


def _next_level(space: StateSpace, level: dict[State, int]) -> dict[State, int]:
    """The states one transition further, each with the number of paths that lead to it."""
    model, next_level = space.model, dict[State, int]()
    for state, paths in level.items():
        if model.is_final(state):
            space.final_states.append(state)
            space.path_count += paths
        for transition, after in model.transitions(state):
            space.transition_count += 1
            space.transitions.add(transition)
            if after not in space.predecessor:
                space.predecessor[after] = (transition, state)
            next_level[after] = next_level.get(after, 0) + paths
    return next_level
