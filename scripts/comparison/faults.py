"""Ten faults, each injected in a running saga: which service is to blame, by which message it shows."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.comparison.wirings import CHOREOGRAPHY, ORCHESTRATION, ORCHESTRATOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from scripts.comparison.live_system import LiveSystem

# What the fault leaves behind needs this long to show: the order is silent, retries are over.
_SHOWS_SECONDS = 4.0
# A message comes back 20 times before it is set aside.
_MOST_CRASHES, _CRASH_SECONDS = 25, 20.0
_DEADLINE_SECONDS = 2.0
_OTHERS = 3


@dataclass(frozen=True)
class Fault:
    """`services` and `messages`: what is to be named, by wiring. `cause`: a pattern of how it is named."""

    name: str
    services: Mapping[str, str]
    messages: Mapping[str, str]
    cause: str
    inject: Callable[[LiveSystem], AbstractContextManager[str]]


def _both(name: str) -> dict[str, str]:
    return {CHOREOGRAPHY: name, ORCHESTRATION: name}


def _each(choreography: str, orchestration: str) -> dict[str, str]:
    return {CHOREOGRAPHY: choreography, ORCHESTRATION: orchestration}


_PAID = _each("stock.reserve", "paiement.debiter")
_HELD = _each("commande.initiee", "stock.reserver")


@contextlib.contextmanager
def _worker_stopped(system: LiveSystem) -> Iterator[str]:
    system.start_around("paiement").kill()
    key = system.order()
    time.sleep(_SHOWS_SECONDS)
    yield key


@contextlib.contextmanager
def _binding_removed(system: LiveSystem) -> Iterator[str]:
    system.start_around("paiement")
    message = _PAID[system.wiring.name]
    exchange = "stock.events" if message == "stock.reserve" else "paiement.commands"
    # The worker binds again within seconds; the order comes before.
    system.management.unbind(exchange, "paiement.inbox", message)
    key = system.order()
    time.sleep(_SHOWS_SECONDS)
    # What is missing is told from what is merely slow by other orders that pass.
    for _ in range(_OTHERS):
        system.order()
    time.sleep(_SHOWS_SECONDS)
    yield key


@contextlib.contextmanager
def _invalid_message(system: LiveSystem) -> Iterator[str]:
    system.start(*system.wiring.deliveries)
    key = system.order(quantite=-1)
    time.sleep(_SHOWS_SECONDS)
    yield key


@contextlib.contextmanager
def _gateway_down(system: LiveSystem) -> Iterator[str]:
    system.gateway.refuses = {"PUT": 503}
    system.start(*system.wiring.deliveries)
    key = system.order()
    time.sleep(_SHOWS_SECONDS)
    yield key


@contextlib.contextmanager
def _crash_loop(system: LiveSystem) -> Iterator[str]:
    system.start_around("stock").kill()
    key = system.order()
    for _ in range(_MOST_CRASHES):
        worker = system.start("stock", wait=False, failpoint="in_transaction")
        end = time.monotonic() + _CRASH_SECONDS
        while not worker.ended and time.monotonic() < end and not system.set_aside("stock"):
            time.sleep(0.1)
        if not worker.ended:
            break
    time.sleep(_SHOWS_SECONDS)
    yield key


@contextlib.contextmanager
def _database_locked(system: LiveSystem) -> Iterator[str]:
    system.start(*system.wiring.deliveries)
    with contextlib.closing(sqlite3.connect(system.folder / "stock.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        key = system.order()
        time.sleep(_SHOWS_SECONDS)
        yield key


@contextlib.contextmanager
def _outbox_stuck(system: LiveSystem) -> Iterator[str]:
    worker = system.start_around("stock", failpoint="after_commit")
    key = system.order()
    end = time.monotonic() + _CRASH_SECONDS
    while not worker.ended and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(_SHOWS_SECONDS)
    yield key


@contextlib.contextmanager
def _wrong_sender(system: LiveSystem) -> Iterator[str]:
    system.start(*system.wiring.deliveries)
    key = system.order()
    data = {"commande_id": key, "transaction_id": "T-1", "montant": 99.99}
    system.publish("stock.events", "paiement.effectue", data, source="/services/stock")
    time.sleep(_SHOWS_SECONDS)
    yield key


@contextlib.contextmanager
def _late_answer(system: LiveSystem) -> Iterator[str]:
    system.settings["SAGA_DEADLINE"] = str(_DEADLINE_SECONDS)
    worker = system.start_around("paiement")
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        key = system.order()
        time.sleep(_DEADLINE_SECONDS + 2)
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    time.sleep(_SHOWS_SECONDS)
    yield key


@contextlib.contextmanager
def _undoing_fails(system: LiveSystem) -> Iterator[str]:
    # A gateway that is down would hold the inbox; this one fails for this order.
    system.gateway.refuses = {"DELETE": 500}
    system.start(*system.wiring.deliveries)
    key = system.order(client_id="CLIENT-666", produit_id="PROD-789", quantite=1)
    time.sleep(_SHOWS_SECONDS)
    yield key


FAULTS = (
    Fault("a worker has stopped", _both("paiement"), _PAID, "no consumer", _worker_stopped),
    Fault(
        "a binding was removed", _both("paiement"), _PAID, "never came|not bound|binds? it again", _binding_removed
    ),
    Fault(
        "an invalid message",
        _each("stock", ORCHESTRATOR),
        _both("commande.initiee"),
        "not valid",
        _invalid_message,
    ),
    Fault(
        "the card gateway is down",
        _both("paiement"),
        _PAID,
        "the card gateway|every try failed|503",
        _gateway_down,
    ),
    Fault("a message kills its worker", _both("stock"), _HELD, "delivered again and again", _crash_loop),
    Fault("a database is locked", _both("stock"), _HELD, "locked", _database_locked),
    Fault(
        "an event stays in the outbox",
        _both("stock"),
        _both("stock.reserve"),
        "[1-9][0-9]* not said",
        _outbox_stuck,
    ),
    Fault(
        "a wrong sender",
        _both("stock"),
        _both("paiement.effectue"),
        "not its speaker's",
        _wrong_sender,
    ),
    Fault("an answer comes too late", _both("paiement"), _PAID, "too late|deadline|délai", _late_answer),
    Fault(
        "an undoing fails",
        _both("paiement"),
        _each("commande.annulee", "paiement.rembourser"),
        "every try failed",
        _undoing_fails,
    ),
)
