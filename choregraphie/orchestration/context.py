"""The context of an instance: the data of what was heard, from which the commands are built. Pure."""

import inspect
import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from choregraphie.errors import ChoregraphieError
from choregraphie.orchestration.declaration import Orchestration
from choregraphie.orchestration.machine import Instance
from choregraphie.saga.choreography import EventClass
from choregraphie.saga.envelope import Event
from choregraphie.saga.problems import first_problem

# The data of each event heard, by its wire type, in the order in which they came.
Context = Mapping[str, Mapping[str, Any]]


class NotWritable(ChoregraphieError):
    """A command cannot be built: a value of the context does not fit its field."""


def with_event(context: Context, event: Event) -> dict[str, Any]:
    """`context` with the data of `event`. What was heard first of one type stays."""
    return {**context, event.TYPE: json.loads(event.model_dump_json())} | dict(context)


def command(
    saga: Orchestration, cls: EventClass, key: str, instance: Instance, context: Context, reason: str
) -> Event:
    """The command or own word of that class. Raises NotWritable when a field has no value that fits.

    A field takes the newest value of its name; a field whose type is an event takes that event whole.
    """
    data: dict[str, Any] = {cls.KEY: key}
    for name, field in cls.model_fields.items():
        kind = field.annotation
        if name == cls.KEY:
            continue
        if inspect.isclass(kind) and issubclass(kind, Event):
            data[name] = context.get(kind.TYPE)
        elif name in saga.facts:
            data[name] = saga.facts[name](instance)
        elif name == cls.REASON and reason:
            data[name] = reason
        elif (value := _newest(context, name)) is not None:
            data[name] = value
    try:
        return cls.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise NotWritable(f"{cls.TYPE} cannot be written: {first_problem(error)}") from None


def _newest(context: Context, name: str) -> Any:
    return next((data[name] for data in reversed([*context.values()]) if name in data), None)
