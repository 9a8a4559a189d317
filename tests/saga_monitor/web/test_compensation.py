"""What the page says of a compensation: of an orchestrated order, in the order in which it is undone."""

from __future__ import annotations

import datetime as dt

from saga_monitor.analysis import saga_state
from saga_monitor.projection.queries import SagaSummary
from saga_monitor.web.compensation import compensation
from saga_monitor.web.event_roles import EventRoles
from saga_monitor.web.narrative import TimelineEntry
from services.orchestration import WIRING
from tests.saga_monitor.analysis.test_reviews import events

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
PAID = (
    *("commande.initiee", "stock.reserver", "stock.reserve", "paiement.debiter", "paiement.effectue"),
    *("commande.annulation_demandee", "commande.annuler", "commande.annulee", "paiement.rembourser"),
)


def told(*types: str) -> list[str]:
    progress = saga_state.evaluate(WIRING, events(types))
    summary = SagaSummary(
        saga=WIRING.name,
        key="CMD-1",
        state=progress.state,
        flags=progress.flags,
        at_rest=progress.at_rest,
        steps=progress.steps,
        remaining=progress.remaining,
        started=None,
        heard=START,
        quiet_since=START,
        duration_ms=None,
        last_type=types[-1],
        last_offset=len(types),
        retries=0,
        dead_letters=0,
    )
    entries = [TimelineEntry("event", offset, type_, "", "") for offset, type_ in enumerate(types)]
    return [sentence.split(" after ")[0] for sentence in compensation(summary, WIRING, entries)]


def test_the_step_that_is_being_undone_comes_first_and_the_others_wait() -> None:
    assert told(*PAID) == [
        "paiement: was asked to undo, and has not answered yet",
        "stock: is undone",
    ]


def test_undoings_are_in_the_order_in_which_they_were_asked_for() -> None:
    assert told(*PAID, "paiement.rembourse", "stock.liberer", "stock.libere") == [
        "paiement: undone",
        "stock: undone",
    ]


def test_the_page_of_the_saga_has_each_command_before_its_answers_and_undoings_in_reverse() -> None:
    types = [event.TYPE for event in EventRoles(WIRING).in_order]
    forward = [type_ for type_ in types if type_ in PAID]
    assert forward == [*PAID]
    undone = ["paiement.rembourser", "paiement.rembourse", "stock.liberer", "stock.libere"]
    assert [type_ for type_ in types if type_ in undone] == undone
