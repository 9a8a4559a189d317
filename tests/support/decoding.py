"""Decodes variants of one event as deliveries."""

import json
from typing import Any

from choregraphie import Service
from choregraphie.errors import Reason
from choregraphie.messaging import ContentHeader, Delivery
from choregraphie.pipeline.decoder import Decoder
from choregraphie.service.verdict import DeadLetter
from choregraphie.storage.invocation import Invocation
from services.stock import SERVICE as STOCK
from tests.contracts.examples import example

TYPE = "commande.initiee"
GOOD = json.dumps(example(TYPE)).encode()


def decode(
    body: bytes, exchange: str = "client.events", service: Service = STOCK, **headers: Any
) -> Invocation | DeadLetter:
    """`attempt` is the value of the header that counts tries."""
    names = {"attempt": "x-saga-attempt"}
    known = {names.get(name, name): value for name, value in headers.items()}
    try:
        key = json.loads(body)["type"]
    except (ValueError, KeyError, TypeError, RecursionError):
        key = TYPE
    return Decoder(service).decode(Delivery(1, body, exchange, key, ContentHeader(known)))


def reason(body: bytes, **how: Any) -> Reason:
    verdict = decode(body, **how)
    assert isinstance(verdict, DeadLetter), verdict
    assert verdict.attempt == 1
    assert 0 < len(verdict.detail) <= 300
    assert "\n" not in verdict.detail
    return verdict.reason


def but(**changes: Any) -> bytes:
    return json.dumps(example(TYPE) | changes).encode()
