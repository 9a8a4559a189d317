"""What does not fit together is refused where the application is made: one line with the place and the remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from choregraphie import BadApplication, Service, on
from choregraphie.saga.envelope import Event
from contracts.choreography import CHOREOGRAPHY
from tests.support.atelier import (
    ACCUEIL,
    APP,
    ATELIER,
    FOREIGN,
    SAGA,
    AppareilRendu,
    ReparationEvent,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from choregraphie import Transaction


class AppareilRepareEncore(ReparationEvent):
    TYPE: ClassVar[str] = "appareil.repare"
    SAID_BY: ClassVar[str] = "atelier"


class RetoucheDemandee(Event):
    TYPE: ClassVar[str] = "retouche.demandee"
    SAID_BY: ClassVar[str] = "client"
    SAGA: ClassVar[str] = "retouche"
    KEY: ClassVar[str] = "retouche_id"

    retouche_id: str


class Etranger(Event):
    TYPE: ClassVar[str] = "etranger"
    SAID_BY: ClassVar[str] = "atelier"
    SAGA: ClassVar[str] = "voyage"
    KEY: ClassVar[str] = "voyage_id"

    voyage_id: str


def entendre(heard: Etranger, tx: Transaction) -> Iterator[AppareilRendu]:
    yield AppareilRendu(reparation_id=heard.voyage_id)


FIRST, *OTHERS = SAGA.reactions


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"sagas": ()}, "it names no saga or no service; give both to Application(…)"),
        ({"services": ()}, "it names no saga or no service; give both to Application(…)"),
        (
            {"sagas": (SAGA, SAGA)},
            "the saga reparation is there 2 times (tests.support.atelier); each needs a name of its own",
        ),
        (
            {"services": (ATELIER, ACCUEIL, Service("atelier", foreign=True))},
            "the service atelier is there 2 times (reparations); each needs a name of its own",
        ),
        (
            {"sagas": (SAGA, replace(SAGA, name="retouche"))},
            "the key field reparation_id is there 2 times (saga reparation, saga retouche); each needs a name of"
            " its own",
        ),
        (
            {"sagas": (SAGA, replace(SAGA, name="retouche", starts=RetoucheDemandee))},
            "the noun repairs is there 2 times (saga reparation, saga retouche); each needs a name of its own",
        ),
        (
            {"sagas": (replace(SAGA, reactions=(replace(FIRST, says=(AppareilRepareEncore,)), *OTHERS)),)},
            "the event type appareil.repare is there 2 times (AppareilRepareEncore, AppareilRepare); each needs a"
            " name of its own",
        ),
        (
            {"sagas": (replace(SAGA, reactions=(replace(FIRST, says=(Etranger,)), *OTHERS)),)},
            "saga reparation: Etranger is of the saga voyage with the key voyage_id; derive it from the base class"
            " of this saga's events",
        ),
        (
            {"services": (replace(ATELIER, reactions=(*ATELIER.reactions, on(Etranger, entendre))), ACCUEIL)},
            "atelier reacts to Etranger, which no saga declares; add it to a choreography",
        ),
        (
            {
                "services": (
                    replace(ATELIER, reactions=(*ATELIER.reactions, ATELIER.reactions[0])),
                    ACCUEIL,
                )
            },
            "atelier has 2 reactions to reparation.demandee; make one of them",
        ),
        (
            {"services": (replace(ATELIER, foreign=True), ACCUEIL)},
            "atelier is foreign and has reactions; remove foreign=True, or the reactions",
        ),
    ],
    ids=[
        "no saga",
        "no service",
        "a saga twice",
        "a service twice",
        "a key twice",
        "a noun twice",
        "an event type twice",
        "an event of another saga",
        "an undeclared event",
        "two reactions",
        "foreign with code",
    ],
)
def test_what_does_not_fit_together(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadApplication) as refused:
        replace(APP, **changes)
    assert str(refused.value) == f"application reparations: {problem}"


def test_sagas_of_one_application_share_services() -> None:
    several = replace(APP, sagas=(SAGA, CHOREOGRAPHY))
    assert [*several.saga_set.by_name] == ["reparation", "commande"]


def test_a_foreign_service_is_declared_and_not_run() -> None:
    assert [*FOREIGN.by_name] == ["atelier", "accueil"]
    assert [service.name for service in FOREIGN.chosen(["all"])] == ["accueil"]
