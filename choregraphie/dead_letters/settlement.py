"""Plans the answer that a person gives in place of a service: which event, which journal entries. Reads only."""

import contextlib
import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from choregraphie.application import Application
from choregraphie.errors import DatabaseRefused, UserError
from choregraphie.saga.choreography import Choreography, EventClass, Reaction, Step
from choregraphie.saga.envelope import Event, Instance, wrap
from choregraphie.saga.ids import derived_id
from choregraphie.saga.problems import first_problem
from choregraphie.service.action import Entry, State
from choregraphie.service.service import Service
from choregraphie.settings import Settings
from choregraphie.storage import outbox
from choregraphie.storage.cancelled import open_cancelled
from choregraphie.storage.database import open_for_reading
from choregraphie.storage.outbox import OutboxEvent
from choregraphie.storage.settlement import Settlement

_NOT_IN_A_SOURCE = re.compile(r"[^A-Za-z0-9@._-]")


@dataclass(frozen=True)
class Answer:
    """What an operator answers: that `step` of `key` is done or, with `undone`, undone; with the data `given`."""

    saga: Choreography
    key: str
    step: str
    undone: bool
    because: str
    operator: str
    given: Mapping[str, Any]

    @property
    def instance(self) -> Instance:
        """The instance that it is about."""
        return Instance(self.saga.name, self.key)


@dataclass(frozen=True, slots=True)
class Plan:
    """The service, and what is to be written in its database."""

    service: Service
    settlement: Settlement


def plan(application: Application, settings: Settings, answer: Answer, now: dt.datetime) -> Plan:
    """What must be written and said. Raises UserError when the answer is not possible."""
    step = _step(answer)
    service = application.own.get(step.service)
    if service is None:
        raise UserError(f"{step.service} is run by others: they settle its steps")
    reaction, said = _undoing(answer, step) if answer.undone else _doing(answer, step)
    _check_decision(application, settings, answer)
    handler = service.on(reaction.awaits[0].TYPE)
    assert handler is not None  # noqa: S101 - the declarations were checked
    event = _event(answer, said)
    cause = _cause(application, settings, answer, reaction)
    entry = Entry(
        *answer.instance,
        handler.action,
        State.DONE,
        now,
        {**_noted(event), "settled_by": answer.operator, "because": answer.because},
        cause,
    )
    undoes = tuple(undone.__name__ for undone in handler.undoes)
    return Plan(service, Settlement(entry, _outbox_event(answer, service.name, event, cause, now), undoes))


def _step(answer: Answer) -> Step:
    step = answer.saga.step_named(answer.step)
    if step is None:
        names = ", ".join(step.name for step in answer.saga.steps)
        raise UserError(f"the saga {answer.saga.name} has no step {answer.step[:100]!r}; its steps: {names}")
    return step


def _doing(answer: Answer, step: Step) -> tuple[Reaction, EventClass]:
    if step.service == answer.saga.decider and step.success in {answer.saga.created, answer.saga.cancelled}:
        raise UserError(f"{step.name} decides: nobody settles a decision; send its dead letter back")
    reaction = answer.saga.begins(step)
    if reaction is None:
        raise UserError(f"no reaction begins the step {step.name}")
    return reaction, step.success


def _undoing(answer: Answer, step: Step) -> tuple[Reaction, EventClass]:
    called = step.undo or answer.saga.cancelled
    reaction = answer.saga.reaction(step.service, called.TYPE)
    if step.undone is None or reaction is None:
        raise UserError(f"the step {step.name} has no undoing that could be missing")
    together = [one.name for one in answer.saga.undoings if one.service == step.service]
    if len(together) > 1 and step.undo is None:
        raise UserError(f"{step.service} undoes {', '.join(together)} together; send its dead letter back")
    return reaction, step.undone


def _check_decision(application: Application, settings: Settings, answer: Answer) -> None:
    """Raises UserError when the answer contradicts the decision, as far as that is known here."""
    decider = application.own.get(answer.saga.decider)
    if decider is None:
        return
    with contextlib.suppress(DatabaseRefused), open_cancelled(decider, settings) as instances:
        cancelled = answer.instance in instances
        if answer.undone and not cancelled:
            raise UserError(f"{decider.name} has not cancelled {answer.key}: nothing is to be undone")
        if cancelled and not answer.undone:
            raise UserError(
                f"{decider.name} has cancelled {answer.key}: what is missing is --undone {answer.step}"
            )


def _event(answer: Answer, said: EventClass) -> Event:
    data: dict[str, Any] = {said.KEY: answer.key, **answer.given}
    if unknown := sorted(answer.given.keys() - said.model_fields.keys()):
        raise UserError(f"{said.TYPE} has no field {unknown[0][:100]!r}; its fields: {_fields(said)}")
    if said.REASON in said.model_fields:
        data.setdefault(said.REASON, answer.because)
    for name in said.model_fields:
        data.setdefault(name, None)
    try:
        return said.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise UserError(
            f"{said.TYPE}: {first_problem(error)}; give its fields with --set: {_fields(said)}"
        ) from None


def _fields(said: EventClass) -> str:
    return ", ".join(name for name in said.model_fields if name != said.KEY) or "none"


def _noted(event: Event) -> dict[str, Any]:
    noted: dict[str, Any] = json.loads(event.model_dump_json(exclude={event.KEY}))
    return noted


def _cause(application: Application, settings: Settings, answer: Answer, reaction: Reaction) -> str | None:
    """The id of the event that is answered, from the outbox of its speaker; None when that is not here."""
    awaited = reaction.awaits[-1]
    speaker = application.own.get(awaited.SAID_BY)
    if speaker is None:
        return None
    with contextlib.suppress(DatabaseRefused), open_for_reading(speaker, settings) as connection:
        return next(iter(outbox.ids_of(connection, *answer.instance, awaited.TYPE)), None)
    return None


def _outbox_event(answer: Answer, service: str, event: Event, cause: str | None, now: dt.datetime) -> OutboxEvent:
    event_id = derived_id(service, "settled", *answer.instance, event.TYPE)
    # The source begins with that of the service, whose exchange it comes by, and ends with the operator.
    source = f"/services/{service}/operators/{_NOT_IN_A_SOURCE.sub('-', answer.operator)}"
    envelope = wrap(event, id=event_id, source=source, time=now, causationid=cause)
    return OutboxEvent(event_id, event.TYPE, *answer.instance, envelope.to_bytes(), now)
