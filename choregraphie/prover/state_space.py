"""Every abstract run of one order, breadth first, with the shortest way to each state. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from choregraphie.errors import UserError
from choregraphie.prover.transitions import Model, State, Transition
from choregraphie.saga.choreography import Choreography, EventClass, Reaction

Run = tuple[Transition, ...]

# A minute's walk; the shipped choreography has some thousands.
MOST_STATES = 2_000_000


class TooLarge(UserError):
    """There are more abstract runs than can be walked through."""


@dataclass
class StateSpace:
    """What was explored. `ends` are the states in which nothing is on its way and no clock runs; `seen`, the
    moves that occur."""

    model: Model
    came_by: dict[State, tuple[Transition, State | None]] = field(default_factory=dict)
    ends: list[State] = field(default_factory=list)
    seen: set[Transition] = field(default_factory=set)
    moves: int = 0
    orderings: int = 0

    @property
    def states(self) -> Iterator[State]:
        """Nearest first."""
        return iter(self.came_by)

    def to(self, state: State) -> Run:
        """A shortest run that leads to `state`."""
        moves: list[Transition] = []
        at: State | None = state
        while at is not None:
            move, at = self.came_by[at]
            moves.append(move)
        return tuple(reversed(moves))

    def nearest(self, where: Callable[[State], bool]) -> State | None:
        """The state nearest to the beginning for which `where` holds."""
        return next((state for state in self.came_by if where(state)), None)

    def to_hearing(self, reaction: Reaction) -> Run:
        """A shortest run at whose end `reaction` is dealt with; empty when there is none."""
        found = self.settling([reaction])
        return self.to(found) if found else ()

    def settling(self, reactions: Sequence[Reaction]) -> State | None:
        """The state nearest to the beginning in which all of `reactions` are dealt with."""
        bits = self.model.bits(reactions)
        return self.nearest(lambda state: state.settled & bits == bits)

    def to_saying(self, event: EventClass) -> Run:
        """A shortest run at whose end `event` is said; empty when there is none."""
        found = self.nearest(lambda state: self.model.said(state, event))
        return self.to(found) if found else ()


def explore(choreography: Choreography, most: int = MOST_STATES) -> StateSpace:
    """Walk through everything that can happen, level by level; a level is one move further.

    Raises TooLarge when there are more than `most` states.
    """
    model = Model(choreography)
    runs = StateSpace(model)
    move, first = model.begin()
    runs.came_by[first] = (move, None)
    level = {first: 1}
    while level:
        level = _next_level(runs, level)
        if len(runs.came_by) > most:
            raise TooLarge(f"more than {most} states; check the saga in parts, or take reactions away")
    return runs


def _next_level(runs: StateSpace, level: dict[State, int]) -> dict[State, int]:
    """The states one move further, each with the number of orderings that lead to it."""
    model, further = runs.model, dict[State, int]()
    for state, orderings in level.items():
        if model.quiet(state):
            runs.ends.append(state)
            runs.orderings += orderings
        for move, after in model.moves(state):
            runs.moves += 1
            runs.seen.add(move)
            if after not in runs.came_by:
                runs.came_by[after] = (move, state)
            further[after] = further.get(after, 0) + orderings
    return further
