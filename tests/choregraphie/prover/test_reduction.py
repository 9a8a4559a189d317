"""Partial-order reduction gives the verdicts of the full exploration, with runs of the same length."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from choregraphie.prover import Violation, prove, run_rules, static_rules
from choregraphie.prover.model import Model
from choregraphie.prover.reduction import ReducedSpace
from choregraphie.prover.state_space import Goal, Run, Space, TooLarge, explore
from choregraphie.prover.transitions import Fact, State
from choregraphie.saga.choreography import Choreography, Reaction
from scripts.benchmarks.choreographies import CANCELLED, DECIDER, SHAPES, STARTS
from tests.choregraphie.prover import travel
from tests.choregraphie.prover.altered import SOUND
from tests.choregraphie.prover.broken import BROKEN
from tests.choregraphie.prover.random_choreographies import choreographies

ALL = {
    **SOUND,
    **{broken.name: broken.choreography for broken in BROKEN},
    **{name: travel.by_train(sound) for name, sound in travel.SOUND.items()},
    **{broken.name: travel.by_train(broken.choreography) for broken in travel.BROKEN},
}
MANY = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MOST = 20_000


def verdicts(choreography: Choreography, space: Space) -> list[tuple[str, str, str, str]]:
    """Every violation by the rules of both groups, whether or not the first group holds."""
    found: list[Violation] = []
    for rules in (static_rules, run_rules):
        found += rules.violations(choreography, space)
    return [(violation.rule.slug, violation.service, violation.what, violation.remedy) for violation in found]


def is_run(run: Run, goal: Goal, model: Model) -> bool:
    """Whether `run` is one of `model` that ends where `goal` holds."""
    first, state = model.initial()
    assert run[0] == first
    states = {state}
    for transition in run[1:]:
        states = {after for at in states for taken, after in model.transitions(at) if taken == transition}
    return any(goal.holds(at) and (not goal.final or model.is_final(at)) for at in states)


@pytest.mark.parametrize("choreography", ALL.values(), ids=ALL)
def test_a_known_choreography_gets_the_same_verdicts(choreography: Choreography) -> None:
    assert verdicts(choreography, ReducedSpace(choreography)) == verdicts(choreography, explore(choreography))


@pytest.mark.parametrize("services", [2, 3, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_choreography_of_the_benchmark_holds_by_both(shape: str, services: int) -> None:
    choreography = SHAPES[shape](services)
    if (shape, services) != ("parallel", 4):  # 232 873 states
        assert prove(choreography, full=True).violations == ()
    assert prove(choreography).violations == ()


@pytest.mark.parametrize("shape", SHAPES)
def test_ten_services_hold_and_need_few_states(shape: str) -> None:
    """The full exploration would visit more than a thousand million."""
    proof = prove(SHAPES[shape](10), most=100_000)
    assert proof.violations == ()
    assert proof.space.explored.states < 100_000


@MANY
@given(choreographies())
def test_a_random_choreography_gets_the_same_verdicts(choreography: Choreography) -> None:
    try:
        space = explore(choreography, MOST)
    except TooLarge:
        assume(False)
    assert verdicts(choreography, ReducedSpace(choreography)) == verdicts(choreography, space)


@st.composite
def goals(draw: st.DrawFn, model: Model) -> Goal:
    """Any facts needed and excluded, whether or not a rule asks for them."""
    about = {
        Fact.SAID: model.choreography.events,
        **dict.fromkeys((Fact.SETTLED, Fact.CARRIED_OUT, Fact.DEAD, Fact.UNDONE), model.reactions),
        **dict.fromkeys((Fact.STARTED, Fact.EXPIRED), model.choreography.timed),
        **dict.fromkeys((Fact.NOTED, Fact.REPORTED, Fact.CANCELLING, Fact.READY), (None,)),
    }
    facts = [model.bit(fact, one) for fact, ones in about.items() for one in ones]
    some = st.lists(st.sampled_from(facts), max_size=2).map(lambda chosen: sum(set(chosen)))
    needs = draw(st.lists(some.filter(bool), max_size=3))
    without: State = draw(some) | (model.dead_letters if draw(st.booleans()) else 0)
    return Goal(tuple(needs), without, final=draw(st.booleans()))


@MANY
@given(st.data(), choreographies(most=2))
def test_any_goal_is_reached_by_both_or_by_neither(data: st.DataObject, choreography: Choreography) -> None:
    full, reduced = explore(choreography), ReducedSpace(choreography)
    for goal in data.draw(st.lists(goals(reduced.model), min_size=1, max_size=10)):
        wanted, found = full.run_to(goal), reduced.run_to(goal)
        assert (wanted is None) == (found is None), goal
        if wanted is not None and found is not None:
            assert is_run(found, goal, reduced.model)
            assert len(wanted) == len(found) or goal.final


def test_what_an_undoing_prevents_is_also_tried_before_the_undoing() -> None:
    """The undoing alone would be the smaller set, and after it the reaction can only be skipped."""
    small = SHAPES["chain"](2)
    cancels = Reaction(DECIDER, STARTS, (CANCELLED,), decision=True)
    space = ReducedSpace(replace(small, reactions=(*small.reactions[:2], cancels), timed=()))
    bit, (reacts, undoes, _) = space.model.bit, space.model.reactions
    both = Goal((bit(Fact.SETTLED, undoes), bit(Fact.CARRIED_OUT, reacts)), space.model.dead_letters)
    run = space.run_to(both)
    assert run is not None
    assert is_run(run, both, space.model)
