"""What the replay of a dead letter does, predicted from the databases of its service and of the decider."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie import Settings
from choregraphie.application import Application
from choregraphie.dead_letters.effect import Effect, Prediction
from choregraphie.dead_letters.prediction import Predictor
from choregraphie.messaging import ContentHeader, Delivery
from choregraphie.service.service import Service
from choregraphie.testing import ServiceHarness, open_harness
from contracts.choreography import CHOREOGRAPHY
from services.application import APP
from services.settings import OrderSettings
from tests.support.event_builders import annulee, creee, demande, initiee

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return APP.with_seed(OrderSettings(database_url=f"sqlite:///{tmp_path}/{{service}}.sqlite3"))


@pytest.fixture
def make(settings: Settings) -> Iterator[Callable[[str], ServiceHarness]]:
    with contextlib.ExitStack() as opened:
        yield lambda name: opened.enter_context(open_harness(APP.own[name], settings))


def letter(delivery: Delivery, service: str) -> Delivery:
    """The delivery as `service` sets it aside."""
    headers = {"x-saga-exchange": delivery.exchange, "x-saga-reason": "exhausted", "x-saga-attempt": 6}
    return delivery._replace(exchange=f"{service}.dlx", header=ContentHeader(headers, delivery.properties))


def predict(settings: Settings, harness: ServiceHarness, event: Any, app: Application = APP) -> Prediction:
    name = harness.service.name
    (found,) = Predictor(app, name, settings).predict([letter(harness.delivery(event), name)])
    return found


def test_what_was_not_handled_runs(settings: Settings, make: Any) -> None:
    prediction = predict(settings, make("stock"), initiee())
    assert (prediction.effect, prediction.is_refused) == (Effect.RUNS, False)


def test_what_was_handled_has_no_effect(settings: Settings, make: Any) -> None:
    stock = make("stock")
    heard = stock.delivery(initiee())
    stock.deliver(heard)
    (prediction,) = Predictor(APP, "stock", settings).predict([letter(heard, "stock")])
    assert (prediction.effect, prediction.is_refused) == (Effect.DONE, False)


def test_the_same_id_with_other_bytes_becomes_a_dead_letter_again(settings: Settings, make: Any) -> None:
    stock = make("stock")
    heard = stock.delivery(initiee())
    stock.deliver(heard)
    other = heard._replace(body=heard.body.replace(b'"quantite":2', b'"quantite":3'))
    (prediction,) = Predictor(APP, "stock", settings).predict([letter(other, "stock")])
    assert (prediction.effect, prediction.is_refused) == (Effect.SET_ASIDE_AGAIN, True)


def test_what_was_cancelled_before_it_was_done_is_refused(settings: Settings, make: Any) -> None:
    stock = make("stock")
    stock.hear(annulee())
    prediction = predict(settings, stock, initiee())
    assert (prediction.effect, prediction.is_refused) == (Effect.TOMBSTONED, True)


def test_what_was_done_and_undone_is_refused(settings: Settings, make: Any) -> None:
    stock = make("stock")
    stock.hear(initiee())
    stock.hear(annulee())
    prediction = predict(settings, stock, initiee())
    assert (prediction.effect, prediction.is_refused) == (Effect.ENDED, True)


def test_a_step_of_an_instance_that_the_decider_has_cancelled_is_refused(settings: Settings, make: Any) -> None:
    """Its own cancellation has not come to this service yet: only the decider's database knows."""
    stock, commande = make("stock"), make("commande")
    commande.hear(initiee())
    commande.hear(demande())
    prediction = predict(settings, stock, initiee())
    assert (prediction.effect, prediction.is_refused) == (Effect.ENDED, True)


def test_the_undoing_of_a_cancelled_instance_runs(settings: Settings, make: Any) -> None:
    stock, commande = make("stock"), make("commande")
    commande.hear(initiee())
    commande.hear(demande())
    assert predict(settings, stock, annulee()).effect is Effect.RUNS


def test_what_follows_the_creation_runs(settings: Settings, make: Any) -> None:
    make("commande")
    assert predict(settings, make("notification"), creee()).effect is Effect.RUNS


@pytest.mark.parametrize(
    ("body", "reason"), [(b"\xff\x00", "unreadable"), (b"{}", "invalid"), (b"x" * 300_000, "too_large")]
)
def test_what_its_service_cannot_read_becomes_a_dead_letter_again(
    settings: Settings, make: Any, body: bytes, reason: str
) -> None:
    bad = make("stock").delivery(initiee())._replace(body=body)
    (prediction,) = Predictor(APP, "stock", settings).predict([letter(bad, "stock")])
    assert (prediction.effect, prediction.is_refused) == (Effect.SET_ASIDE_AGAIN, True)
    assert prediction.why.startswith(reason)


def test_a_service_whose_database_is_not_here_is_unknown(settings: Settings, make: Any, tmp_path: Path) -> None:
    stock = make("stock")
    elsewhere = settings.model_copy(update={"database_url": f"sqlite:///{tmp_path}/nowhere/{{service}}.sqlite3"})
    prediction = predict(elsewhere, stock, initiee())
    assert (prediction.effect, prediction.is_refused) == (Effect.UNKNOWN, True)
    assert "no such database" in prediction.why


def test_a_foreign_service_is_unknown(settings: Settings, make: Any) -> None:
    services = tuple(Service("stock", foreign=True) if one.name == "stock" else one for one in APP.services)
    foreign = Application(APP.name, (CHOREOGRAPHY,), services)
    assert predict(settings, make("stock"), initiee(), foreign).effect is Effect.UNKNOWN
