"""A forged message that the broker dead-lettered stays a forgery when it is redriven."""

from __future__ import annotations

from dataclasses import replace

import pytest

from choregraphie.errors import Reason
from choregraphie.messaging import ContentHeader, Delivery
from choregraphie.pipeline.decoder import Decoder
from choregraphie.service.verdict import DeadLetter
from choregraphie.storage.invocation import Invocation
from services.scenario import message_of, plan
from services.stock import SERVICE

STOCK = Decoder(SERVICE)
ORDER = plan(1, 1).actions[0]


def redriven(what: str, headers: dict[str, object]) -> Invocation | DeadLetter:
    message = message_of(replace(ORDER, what=what))
    return STOCK.decode(Delivery(1, message.body, "stock.requeue", message.routing_key, ContentHeader(headers)))


@pytest.mark.parametrize("headers", [{}, {"x-first-death-exchange": "client.events"}])
def test_another_source_is_refused(headers: dict[str, object]) -> None:
    verdict = redriven("forged", headers)
    assert isinstance(verdict, DeadLetter)
    assert verdict.reason is Reason.WRONG_SENDER


def test_another_exchange_is_refused() -> None:
    verdict = redriven("", {"x-first-death-exchange": "paiement.events"})
    assert isinstance(verdict, DeadLetter)
    assert verdict.reason is Reason.WRONG_SENDER


@pytest.mark.parametrize("died_in", ["client.events", "stock.retry", "stock.requeue", None])
def test_a_genuine_message_is_accepted(died_in: str | None) -> None:
    headers: dict[str, object] = {} if died_in is None else {"x-first-death-exchange": died_in}
    assert isinstance(redriven("", headers), Invocation)
