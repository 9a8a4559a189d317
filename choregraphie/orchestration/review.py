"""The event with which an orchestrator asks for a person: it tells the history what its row alone would know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pydantic import create_model

from choregraphie.saga.envelope import Event
from choregraphie.saga.fields import Reason
from choregraphie.saga.orchestrator_part import AWAITED, SEPARATOR

if TYPE_CHECKING:
    from choregraphie.orchestration.declaration import Orchestration, Step
    from choregraphie.orchestration.machine import Instance
    from choregraphie.saga.choreography import EventClass


def review_event(saga: Orchestration) -> EventClass:
    """The class of the event, whose type and key are those of `saga`."""
    starts = saga.starts
    key: Any = starts.model_fields[starts.KEY].rebuild_annotation()
    about = {
        "SAGA": saga.name,
        "KEY": starts.KEY,
        "TYPE": f"{saga.service}.revue_demandee",
        "SAID_BY": saga.service,
    }
    base: Any = type("ReviewEvent", (Event,), {"__module__": __name__, **about})
    fields: dict[str, Any] = {starts.KEY: (key, ...), "etape": (Reason, ...), AWAITED: (Reason, ...)}
    doc = "A person must look: nothing can replace an answer that has not come in time."
    return cast("EventClass", create_model("RevueDemandee", __base__=base, __doc__=doc, **fields))


def review_of(saga: Orchestration, instance: Instance, key: str, awaited: tuple[Step, ...]) -> Event:
    """The event about an instance that awaits answers of these steps."""
    missing = [step.undone if instance.undoing else step.success for step in awaited]
    data = {
        saga.starts.KEY: key,
        "etape": SEPARATOR.join(step.name for step in awaited),
        AWAITED: SEPARATOR.join(event.TYPE for event in missing if event is not None),
    }
    return saga.review.model_validate(data)
