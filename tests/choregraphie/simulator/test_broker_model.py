"""The model behaves as RabbitMQ: the same random script on both gives the same deliveries."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pika
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import HISTORY, Queue, Topology, delay_name, events, matches, topology
from choregraphie.simulator.broker_model import VERSIONS, Broker, Version
from contracts.choreography import CHOREOGRAPHY
from tests.choregraphie.simulator.model_broker import Model
from tests.choregraphie.simulator.real_broker import Real
from tests.choregraphie.simulator.script import OPERATOR, WORKERS, Script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.nemesis.management import Management

Step = tuple[Any, ...]

# A limit that a short script reaches, and a delay that it can wait for.
LIMIT = 2
DELAY_SECONDS = 0.03
LIFE_MS = 25
SERVICES = ("stock", "paiement")
SPEAKERS = ("client", "commande", "stock")
WHOLE = topology(SagaSet((CHOREOGRAPHY,)), (DELAY_SECONDS,))


def _exchanges() -> Topology:
    """The exchanges of the two services and of those they hear; no queue."""
    owners = {events(outbox_publisher) for outbox_publisher in SPEAKERS}
    kept = [
        e for e in WHOLE.exchanges if e.name in owners or (e.name.startswith(SERVICES) and ".events" not in e.name)
    ]
    return Topology(tuple(kept), (), ())


def _part(prefix: str) -> Topology:
    """The queues of our topology whose names begin with `service`, with their bindings and a low limit."""
    exchanges = {exchange.name for exchange in _exchanges().exchanges}
    queues = tuple(_reachable(queue) for queue in WHOLE.queues if queue.name.startswith(prefix))
    names = {queue.name for queue in queues}
    bindings = tuple(b for b in WHOLE.bindings if b.queue in names and b.exchange in exchanges)
    return Topology((), queues, bindings)


def _reachable(queue: Queue) -> Queue:
    shorter = {"x-delivery-limit": LIMIT} if "x-dead-letter-exchange" in queue.arguments else {}
    return replace(queue, arguments=queue.arguments | shorter)


EXCHANGES = _exchanges()
PARTS = {name: _part(name) for name in (*SERVICES, HISTORY)}

# Known differences are declared in the model, by version; everything else is compared.
BY_NAME: dict[str, Version] = {version.name: version for version in VERSIONS}

SAID = (
    ("client.events", "commande.initiee"),  # one service hears it
    ("commande.events", "commande.annulee"),  # both hear it
    ("stock.events", "stock.reserve"),  # the other one hears it
    ("stock.events", "stock.inconnu"),  # only the history hears it
)
PLACES = st.integers(0, 3)
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("declare"), st.sampled_from(tuple(PARTS))),
    st.sampled_from(SAID).map(lambda said: ("say", *said)),
    st.sampled_from(SAID[:3]).map(lambda said: ("say", *said)),
    st.tuples(st.just("consume"), st.sampled_from(WORKERS), st.sampled_from(SERVICES), st.integers(1, 3)),
    st.tuples(st.just("cancel"), st.sampled_from(WORKERS), st.sampled_from(SERVICES)),
    st.tuples(st.just("take"), st.sampled_from(SERVICES)),
    st.tuples(st.just("settle"), st.sampled_from(["ack", "requeue", "requeue", "nack", "reject"]), PLACES),
    st.tuples(st.sampled_from(["retry", "redrive", "bury"]), PLACES, st.booleans()),
    st.tuples(st.just("lose"), st.sampled_from((*WORKERS, OPERATOR))),
)
DECLARED = st.sampled_from(
    [("stock",), ("paiement",), SERVICES, ("stock", HISTORY), ("paiement", HISTORY), (*SERVICES, HISTORY)]
)


@pytest.fixture
def version(management: Management) -> Version:
    return BY_NAME[".".join(map(str, management.broker_version()[:2]))]


@pytest.fixture
def connection(amqp_url: str) -> Iterator[pika.BlockingConnection]:
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(amqp_url))) as opened:
        yield opened


ORDER: Step = ("say", *SAID[0])
FOR_BOTH: Step = ("say", *SAID[1])
STOCK: Step = ("consume", "first", "stock", 1)
RIVAL: Step = ("consume", "second", "stock", 2)
CRASH_LOOP: list[Step] = [STOCK, ORDER, *[("settle", "requeue", 0)] * (LIMIT + 1)]


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(declared=DECLARED, script=st.lists(STEPS, min_size=6, max_size=22))
# A crash loop becomes a dead letter, which the history shows; its reader is lost and it is there again.
@example(
    declared=("stock", HISTORY),
    script=[*CRASH_LOOP, ("take", "stock"), ("lose", OPERATOR), ("take", "stock"), ("redrive", 0, False)],
)
# Retried, as the engine does and with every header; then dead-lettered by a service.
@example(
    declared=("stock", HISTORY), script=[STOCK, ORDER, ("retry", 0, False), ("retry", 0, True), ("bury", 0, False)]
)
# A crash loop, a redrive that keeps every header, and a retry that keeps them too: lost on 3.x.
@example(
    declared=("stock", HISTORY), script=[*CRASH_LOOP, ("take", "stock"), ("redrive", 0, True), ("retry", 0, True)]
)
# Put back by nacks alone: a dead letter, and on 4.3 delivered ever again.
@example(
    declared=("stock", HISTORY),
    script=[STOCK, ORDER, *[("settle", "nack", 0)] * (LIMIT + 1), ("settle", "requeue", 0), ("take", "stock")],
)
# A dead letter comes back to its queue of dead letters after a nack, and after a lost session.
@example(
    declared=("stock", HISTORY),
    script=[*CRASH_LOOP, ("take", "stock"), ("settle", "nack", 0), ("take", "stock"), ("lose", OPERATOR)],
)
# The broker's count, sent back by a client; then put back by a nack.
@example(
    declared=("stock",),
    script=[STOCK, ORDER, ("settle", "requeue", 0), ("redrive", 0, True), ("settle", "nack", 0)],
)
# The broker's count, sent back by a client.
@example(declared=("stock",), script=[STOCK, ORDER, ("settle", "requeue", 0), ("redrive", 0, True)])
# Two workers compete; one is lost with its deliveries, the other cancels.
@example(
    declared=SERVICES,
    script=[
        STOCK,
        RIVAL,
        *[FOR_BOTH] * 5,
        ("lose", "second"),
        RIVAL,
        ("cancel", "first", "stock"),
        ("settle", "ack", 0),
    ],
)
# A message published before a queue was declared never reaches it.
@example(
    declared=("stock",),
    script=[
        FOR_BOTH,
        ("say", *SAID[2]),
        ("declare", "paiement"),
        FOR_BOTH,
        ("declare", HISTORY),
        ("say", *SAID[3]),
    ],
)
def test_the_model_delivers_what_rabbitmq_delivers(
    declared: tuple[str, ...], script: list[Step], version: Version, connection: pika.BlockingConnection
) -> None:
    real = Real(connection, (*WORKERS, OPERATOR))
    real.declare(EXCHANGES)
    both = Script(Model(Broker(EXCHANGES, version)), real, PARTS, delay_name(DELAY_SECONDS), LIFE_MS)
    try:
        for step in [*(("declare", part) for part in declared), *script]:
            both.carry_out(*step)
        both.end()
    finally:
        real.close()


@pytest.mark.parametrize(
    ("pattern", "key", "reached"),
    [
        ("#", "", True),
        ("#", "a.b.c", True),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("a.#", "a", True),
        ("#.c", "a.b.c", True),
        ("1.#", "1.order.a", True),
        ("1.#", "10.order.a", False),
        ("a.#.c", "a.c", True),
    ],
)
def test_topic_patterns(pattern: str, key: str, *, reached: bool) -> None:
    assert matches(pattern, key) is reached
