"""Partial-order reduction: for each goal, a search that takes only transitions that matter for it. Pure.

Most transitions of different services commute, and taking them in all orders is what makes the full exploration
grow tenfold with each service. This search takes, in each state, only the possible actions of a *stubborn set*
(A. Valmari, Stubborn sets for reduced state space generation, 1990; P. Godefroid, Partial-Order Methods for the
Verification of Concurrent Systems, 1996: persistent sets), chosen for one goal (K. Schmidt, Stubborn sets for
standard properties, 1999).

The set, in a state s, for a goal that needs a fact which s lacks:

1. It holds every action that adds this fact.
2. With an action that lacks facts in s, it holds every action that adds a certain one of them.
3. With an action that is possible in s, it holds every action that this one excludes and that does not exclude
   it.

Facts are never taken away. So an action that s excludes, or that adds a fact without which the goal must be, is
in no run from s to the goal, and is left out.

Why no goal is lost, and a shortest run stays a shortest one: let a1 … ak be a run from s to the goal. By (1)
some of its actions are in the set; let ai be the first. It is possible in s, because an earlier action that
added a fact which it lacks would be in the set by (2). Let ai come first. The actions before it need no more
than they did. If ai excluded one of them, that one would be in the set by (3), as it does not exclude ai, which
came later. So ai, a1 … a(i-1), a(i+1) … ak is a run. It is as long and ends in the same state, since a state is
the union of what was added. By induction the search finds a run as short. (1) to (3) stand for the conditions C0
to C2 of D. Peled (Combining partial order reductions with on-the-fly model-checking, 1994). C3, against an action
that is put off for ever, is needless: every action adds a fact, so no run has a cycle.

A goal at the end of a run also needs every pending duty to be done. A duty is *relevant* if the goal rules out
an action that would do it, or if doing it may lead to a relevant one. Once no relevant duty is pending, each of
the others can be done, in any order, and the goal then holds.

Facts that nothing reads and the goal does not name are dropped from the states (M. Yorav, O. Grumberg, Static
analysis for state-space reductions preserving temporal logics, 2004).

Every rule asks whether some kind of state can be reached, so the verdicts are those of the full exploration.
"""

from collections.abc import Iterable, Iterator
from functools import reduce
from operator import or_

from choregraphie.prover.model import Model
from choregraphie.prover.state_space import MOST_STATES, Explored, Goal, Run, Space, TooLarge
from choregraphie.prover.transitions import State, single
from choregraphie.saga.choreography import Choreography

Actions = int  # a set of actions: a bit for each, in the order of Model.actions


class ReducedSpace(Space):
    """Searches the runs of one choreography, for each goal on its own. `explored` adds up the searches."""

    def __init__(self, choreography: Choreography, most: int = MOST_STATES) -> None:
        self.model = Model(choreography)
        self.most = most
        self._explored = Explored(0, 0)
        self._relations = Relations(self.model)
        self._found: dict[Goal, Run | None] = {}

    def run_to(self, *goals: Goal) -> Run | None:
        return min((run for run in map(self._search, goals) if run is not None), key=len, default=None)

    def _search(self, goal: Goal) -> Run | None:
        if goal not in self._found:
            search = Search(self.model, self._relations, goal)
            self._found[goal] = search.run(self.most)
            before = self._explored
            states = before.states + len(search.predecessor)
            self._explored = Explored(states, before.transitions + search.transition_count)
        return self._found[goal]

    @property
    def explored(self) -> Explored:
        return self._explored


class Relations:
    """What the actions of a model have to do with one another, the same for every goal.

    read      the facts on which something depends
    adding    by fact, the actions that add it
    excludes  by action, those that are not possible after it
    before    by action, those that it excludes and that do not exclude it
    doing     by duty, the actions that do it whenever they are possible, without those that end in a dead letter
    """

    def __init__(self, model: Model) -> None:
        actions, duties = model.actions, model.duties
        self.read = reduce(or_, (part.needs | part.without for part in actions), 0)
        self.read |= reduce(or_, (duty.needs | duty.done for duty in duties), 0)
        self.adding: dict[State, Actions] = {}
        for number, action in enumerate(actions):
            for fact in single(action.adds):
                self.adding[fact] = self.adding.get(fact, 0) | 1 << number
        self.excludes = [_where(other.without & action.adds for other in actions) for action in actions]
        self.before = [
            excluded & ~_where(other.adds & action.without for other in actions)
            for action, excluded in zip(actions, self.excludes, strict=True)
        ]
        alive = ~_where(action.adds & model.dead_letters for action in actions)
        self.doing = [
            alive & _where(duty.done & a.adds and a.needs & duty.needs == duty.needs for a in actions)
            for duty in duties
        ]

    def adding_one_of(self, facts: State) -> Actions:
        return reduce(or_, (self.adding.get(fact, 0) for fact in single(facts)), 0)


class Search:
    """A breadth-first search for one goal. Each state goes with the actions that it does not exclude."""

    def __init__(self, model: Model, relations: Relations, goal: Goal) -> None:
        self.model, self.relations, self.goal = model, relations, goal
        self.kept = reduce(or_, goal.needs, relations.read | goal.without)
        self.allowed = ~_where(action.adds & goal.without for action in model.actions)
        self.predecessor: dict[State, tuple[int, State]] = {}
        self.transition_count = 0

    def run(self, most: int) -> Run | None:
        """The shortest run to the goal, or None; for a final goal, the shortest to where nothing is relevant."""
        first, initial = self.model.initial()
        self.predecessor[initial] = (-1, initial)
        open_ = _where(not action.without & initial for action in self.model.actions)
        level = {} if initial & self.goal.without else {initial: open_}
        while level:
            next_level: dict[State, Actions] = {}
            for state, open_ in level.items():
                chosen = self._chosen(state, open_)
                if chosen is None:
                    run = (*self._path_to(state), *(self._completing(state) if self.goal.final else ()))
                    return (first, *(self.model.actions[number].transition for number in run))
                self._take(chosen, state, open_, next_level)
            level = next_level
            if len(self.predecessor) > most:
                raise TooLarge(most)
        return None

    def _take(self, chosen: Actions, state: State, open_: Actions, next_level: dict[State, Actions]) -> None:
        for number in numbers(chosen):
            self.transition_count += 1
            after = (state | self.model.actions[number].adds) & self.kept
            if after not in self.predecessor:
                self.predecessor[after] = (number, state)
                next_level[after] = open_ & ~self.relations.excludes[number]

    def _path_to(self, state: State) -> list[int]:
        path: list[int] = []
        while self.predecessor[state][0] >= 0:
            number, state = self.predecessor[state]
            path.append(number)
        return path[::-1]

    def _completing(self, state: State) -> Iterator[int]:
        """Actions that do every pending duty; none of them is relevant."""
        actions, duties = self.model.actions, tuple(zip(self.model.duties, self.relations.doing, strict=True))
        while pending := [doing for duty, doing in duties if duty.is_pending(state)]:
            number = next(n for n in numbers(pending[0] & self.allowed) if actions[n].is_possible(state))
            state |= actions[number].adds
            yield number

    def _chosen(self, state: State, open_: Actions) -> Actions | None:
        """The possible actions of the smallest stubborn set in `state`; None when the goal holds."""
        smallest: Actions | None = None
        for facts in self._wanted(state, open_):
            chosen = self._stubborn(self.relations.adding_one_of(facts), state, open_ & self.allowed)
            if smallest is None or chosen.bit_count() < smallest.bit_count():
                smallest = chosen
            if not smallest:
                break
        return smallest

    def _wanted(self, state: State, open_: Actions) -> Iterator[State]:
        """Sets of facts; each run from `state` to the goal adds one of each set."""
        yield from (facts for facts in self.goal.needs if not state & facts)
        if not self.goal.final:
            return
        to_come = reduce(or_, (facts for facts in self.goal.needs if facts.bit_count() == 1), state)
        relevant = self._relevant(state, open_)
        for duty, is_relevant in zip(self.model.duties, relevant, strict=True):
            if (is_relevant or not duty.is_pending(state)) and duty.is_pending(to_come):
                yield duty.done

    def _relevant(self, state: State, open_: Actions) -> list[bool]:
        """By duty, whether it may be impossible to do, or lead to one that may be."""
        duties, doing = self.model.duties, self.relations.doing
        ruled_out = open_ & ~self.allowed
        relevant = [bool(ways & ruled_out or not ways) for ways in doing]
        while True:
            missing = (
                reduce(or_, (duty.needs for duty, yes in zip(duties, relevant, strict=True) if yes), 0) & ~state
            )
            leading = open_ & self.relations.adding_one_of(missing)
            wider = [yes or bool(ways & leading) for yes, ways in zip(relevant, doing, strict=True)]
            if wider == relevant:
                return relevant
            relevant = wider

    def _stubborn(self, stubborn: Actions, state: State, may: Actions) -> Actions:
        """The possible actions of a stubborn set that holds those of `stubborn` that may still occur."""
        actions, chosen = self.model.actions, 0
        todo = stubborn = stubborn & may
        while todo:
            lowest = todo & -todo
            todo ^= lowest
            number = lowest.bit_length() - 1
            if lacking := actions[number].needs & ~state:
                adding = (self.relations.adding.get(fact, 0) & may & ~stubborn for fact in single(lacking))
                more = min(adding, key=int.bit_count)
            else:
                chosen |= lowest
                more = self.relations.before[number] & may & ~stubborn
            stubborn |= more
            todo |= more
        return chosen


def _where(conditions: Iterable[object]) -> int:
    """A bit for each condition that is true, in their order."""
    return sum(1 << number for number, condition in enumerate(conditions) if condition)


def numbers(actions: Actions) -> Iterator[int]:
    """The numbers of `actions`, in order."""
    while actions:
        lowest = actions & -actions
        yield lowest.bit_length() - 1
        actions ^= lowest
