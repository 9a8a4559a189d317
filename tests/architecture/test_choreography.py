"""The services do what the declared choreography says, reaction by reaction, and nothing else."""

import pytest

from choregraphie import Handler, Schedule, Service
from choregraphie.saga.choreography import Reaction, Step
from contracts.choreography import CHOREOGRAPHY
from contracts.order import OrderEvent
from services.application import APP

# The last event of each branch: no service has to react to it.
FINAL_ANSWERS = {"notification.envoyee", "stock.libere", "paiement.rembourse"}
HANDLERS = [(service, handler) for service in APP.by_name.values() for handler in service.reactions]


def declared(service: Service, handler: Handler) -> Reaction:
    reaction = CHOREOGRAPHY.reaction(service.name, handler.hears[0].TYPE)
    assert reaction is not None, (
        f"{service.name} hears {handler.hears[0].TYPE}, which the choreography does not say"
    )
    return reaction


def named(value: object) -> str:
    return value.name if isinstance(value, Service) else value.hears[0].TYPE if isinstance(value, Handler) else ""


def test_every_service_of_the_choreography_exists() -> None:
    assert set(APP.by_name) == set(CHOREOGRAPHY.services)


@pytest.mark.parametrize("service", APP.by_name.values(), ids=named)
def test_a_service_hears_what_is_declared_once_each(service: Service) -> None:
    heard = [event for handler in service.reactions for event in handler.hears]
    assert len(heard) == len(set(heard))
    assert set(heard) == {reaction.hears for reaction in CHOREOGRAPHY.heard_by(service.name)}


@pytest.mark.parametrize(("service", "handler"), HANDLERS, ids=named)
def test_a_reaction_says_what_is_declared(service: Service, handler: Handler) -> None:
    assert handler.says() == frozenset(declared(service, handler).says)


@pytest.mark.parametrize(("service", "handler"), HANDLERS, ids=named)
def test_a_reaction_gives_up_with_the_declared_refusal_or_calls_for_a_person(
    service: Service, handler: Handler
) -> None:
    reaction = declared(service, handler)
    assert handler.gives_up is reaction.refusal
    if reaction.undoing or reaction.decision:
        assert handler.gives_up is None


@pytest.mark.parametrize(("service", "handler"), HANDLERS, ids=named)
def test_an_undoing_undoes_something_of_the_same_service(service: Service, handler: Handler) -> None:
    own = {other.do for other in service.reactions}
    assert set(handler.undoes) <= own - {handler.do}
    if declared(service, handler).undoing:
        assert handler.undoes
        assert handler.hears == (CHOREOGRAPHY.cancelled,)


@pytest.mark.parametrize("service", APP.by_name.values(), ids=named)
def test_what_is_said_by_the_clock_is_declared(service: Service) -> None:
    wanted = {event for timed in CHOREOGRAPHY.timed if timed.service == service.name for event in timed.says}
    assert {event for handler in service.timed for event in handler.says()} == wanted


@pytest.mark.parametrize("service", APP.by_name.values(), ids=named)
def test_a_service_says_only_what_it_may_say(service: Service) -> None:
    handlers: list[Handler | Schedule] = [*service.reactions, *service.timed]
    assert all(service.name == event.SAID_BY for handler in handlers for event in handler.says())


@pytest.mark.parametrize("service", APP.by_name.values(), ids=named)
def test_actions_have_names_of_their_own_in_the_journal(service: Service) -> None:
    handlers: list[Handler | Schedule] = [*service.reactions, *service.timed]
    actions = [handler.action for handler in handlers]
    assert len(actions) == len(set(actions))


@pytest.mark.parametrize("service", APP.by_name.values(), ids=named)
def test_the_canvas_names_every_event_heard_and_said(service: Service) -> None:
    canvas = __import__(f"services.{service.name}", fromlist=["x"]).__doc__ or ""
    handlers: list[Handler | Schedule] = [*service.reactions, *service.timed]
    words = {handler.hears[0].TYPE for handler in service.reactions} | {
        e.TYPE for handler in handlers for e in handler.says()
    }
    assert sorted(word for word in words if word not in canvas) == []


def test_everything_said_is_heard_or_a_final_answer() -> None:
    heard = {event.TYPE for event in CHOREOGRAPHY.heard}
    assert {event.TYPE for event in CHOREOGRAPHY.events} - heard == FINAL_ANSWERS


def test_everything_heard_is_said_by_somebody() -> None:
    said = {event for reaction in CHOREOGRAPHY.reactions for event in reaction.says}
    from_clients = {CHOREOGRAPHY.starts, CHOREOGRAPHY.cancel_asked}
    assert CHOREOGRAPHY.heard <= said | from_clients
    assert all(event.SAID_BY == "client" for event in from_clients)


def test_every_event_class_is_in_the_choreography() -> None:
    assert set(OrderEvent.__subclasses__()) == set(CHOREOGRAPHY.events)


def test_one_service_decides() -> None:
    outcomes = {CHOREOGRAPHY.created, CHOREOGRAPHY.cancelled}
    deciding = {r.service for r in CHOREOGRAPHY.reactions if outcomes & set(r.says)}
    deciding |= {timed.service for timed in CHOREOGRAPHY.timed if outcomes & set(timed.says)}
    assert deciding == {CHOREOGRAPHY.decider}
    assert {r.service for r in CHOREOGRAPHY.reactions if r.decision} == {CHOREOGRAPHY.decider}


def test_every_step_that_can_be_undone_has_exactly_one_undoing() -> None:
    for step in CHOREOGRAPHY.undoings:
        undoings = [r for r in CHOREOGRAPHY.heard_by(step.service) if r.undoing]
        assert [(r.hears, r.says) for r in undoings] == [(CHOREOGRAPHY.cancelled, (step.undone,))]


@pytest.mark.parametrize("step", CHOREOGRAPHY.steps, ids=lambda step: step.service)
def test_a_step_answers_what_calls_for_it(step: Step) -> None:
    reaction = CHOREOGRAPHY.begins(step)
    assert reaction is not None
    assert step.success in reaction.says
