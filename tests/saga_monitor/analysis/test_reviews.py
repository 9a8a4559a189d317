"""An orchestrator asks for a person: the instance needs one until the missing answer comes, in whatever order."""

from __future__ import annotations

from itertools import permutations

import pytest

from saga_monitor.analysis import saga_state
from saga_monitor.analysis.saga_state import Flag, HeardEvent, State
from services.orchestration import WIRING

assert WIRING.review is not None
REVIEW = WIRING.review.TYPE
REFUSED = (
    *("commande.initiee", "stock.reserver", "stock.reserve", "paiement.debiter", "paiement.echoue"),
    *("commande.annuler", "commande.annulee", "paiement.rembourser"),
)
CREATED = (
    *("commande.initiee", "stock.reserver", "stock.reserve", "paiement.debiter", "paiement.effectue"),
    *("commande.creer", "commande.creee", "stock.vendre", "notification.envoyer"),
)


def event(type_: str, offset: int, awaited: str = "") -> HeardEvent:
    return HeardEvent(f"{type_}-{offset}", type_, WIRING.speaker_of[type_], decides=awaited or None, offset=offset)


def events(types: tuple[str, ...], *reviews: str) -> list[HeardEvent]:
    """Events of these types, then requests for a person about these answers."""
    said = [event(type_, offset) for offset, type_ in enumerate(types)]
    return [*said, *(event(REVIEW, len(types) + place, awaited) for place, awaited in enumerate(reviews))]


def flags(heard: list[HeardEvent]) -> set[Flag]:
    return {*saga_state.evaluate(WIRING, heard).flags}


def test_an_undoing_that_is_asked_about_needs_a_person_until_it_answers() -> None:
    assert flags(events(REFUSED)) == set()
    asked = events(REFUSED, "paiement.rembourse")
    assert flags(asked) == {Flag.INTERVENTION}
    assert flags([*asked, event("paiement.rembourse", 20)]) == set()


def test_an_answer_that_the_orchestrator_had_not_heard_yet_ends_the_review_too() -> None:
    answered = [*events(REFUSED, "paiement.rembourse"), event("paiement.rembourse", 1)]
    for some in permutations(answered[-3:]):
        assert flags([*answered[:-3], *some]) == set()


def test_a_step_after_the_creation_needs_a_person_until_the_order_is_cancelled() -> None:
    asked = events(CREATED, "notification.envoyee")
    assert flags(asked) == {Flag.INTERVENTION}
    assert flags([*asked, event("commande.annulation_demandee", 20)]) == set()


@pytest.mark.parametrize("missing", ["commande.annulee", "commande.annulee, paiement.rembourse"])
def test_a_cancellation_that_is_not_carried_out_needs_a_person(missing: str) -> None:
    assert Flag.INTERVENTION in flags(events(REFUSED[:6], missing))


def test_to_ask_twice_is_no_contradiction_and_does_not_change_the_state() -> None:
    progress = saga_state.evaluate(WIRING, events(REFUSED, "paiement.rembourse", "paiement.rembourse"))
    assert (progress.state, progress.flags) == (State.COMPENSATING, (Flag.INTERVENTION,))
    assert "paiement.rembourse" in progress.remaining
