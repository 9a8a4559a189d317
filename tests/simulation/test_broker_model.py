"""The model of RabbitMQ does what RabbitMQ does: the same random script on both, the same deliveries from both."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pika
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from contracts.topology import Binding, Exchange, Queue, Topology
from services.simulation.broker import RABBIT_3_10, RABBIT_4_0, Broker, Version, matches
from tests.simulation.real_broker import Model, Real, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.management import Management

LIMIT = 2
LIFE_MS = 30
# Our inbox, its dead letters and one retry queue, with a limit that a short script can reach.
_TO_DEAD = {"x-dead-letter-exchange": "dlx"}
_BACK = {"x-dead-letter-exchange": "requeue", "x-message-ttl": LIFE_MS}
_AT_LEAST_ONCE = {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
_QUORUM = {"x-queue-type": "quorum"}
TOPOLOGY = Topology(
    exchanges=tuple(Exchange(name) for name in ("events", "retry", "requeue", "dlx")),
    queues=(
        Queue("inbox", {**_QUORUM, "x-delivery-limit": LIMIT, **_TO_DEAD, **_AT_LEAST_ONCE}),
        Queue("retry", {**_QUORUM, "x-delivery-limit": LIMIT, **_BACK, **_AT_LEAST_ONCE}),
        Queue("dlq", {**_QUORUM, "x-delivery-limit": 1_000_000}),
    ),
    bindings=(
        Binding("events", "inbox", "order.*"),
        Binding("requeue", "inbox", "#"),
        Binding("retry", "retry", "1.#"),
        Binding("dlx", "dlq", "#"),
    ),
)

# What is known to differ, and by which version: everything else is compared on every one.
#   x-death believed when a client sends it   3.x: yes (the message can be lost)   4.x: ignored
#   x-delivery-count, redelivered             3.x: none after a dead-lettering     4.x: some, of what was rejected
VERSIONS: dict[int, Version] = {3: RABBIT_3_10, 4: RABBIT_4_0}

STEPS = st.one_of(
    st.tuples(st.just("say"), st.sampled_from(["order.a", "order.b"])),
    st.tuples(st.just("take"), st.sampled_from(["inbox", "inbox", "inbox", "dlq"])),
    st.tuples(st.sampled_from(["ack", "requeue", "requeue", "nack", "reject"]), st.integers(0, 3)),
    st.tuples(st.just("retry"), st.booleans()),
    st.tuples(st.just("redrive"), st.booleans()),
    st.tuples(st.just("lose"), st.none()),
)
SCRIPTS = st.lists(STEPS, min_size=4, max_size=22)


class Script:
    """Carries steps out on the model and on the real broker, and compares what both show."""

    def __init__(self, model: Model, real: Real) -> None:
        self._model, self._real = model, real
        self._said = 0
        self._held: list[tuple[str, bytes, dict[str, Any], dict[str, Any]]] = []

    def carry_out(self, step: tuple[str, Any]) -> None:
        what, detail = step
        if what == "say":
            self._said += 1
            self._publish("events", detail, f"message-{self._said}".encode(), {}, {}, None)
        elif what == "take":
            self._take(detail)
        elif what in {"retry", "redrive"}:
            self._round(what, keep=detail)
        elif what == "lose":
            self._both("lose_session")
            self._held.clear()
        elif self._held:
            place = detail % len(self._held)
            self._held.pop(place)
            self._both("settle", what, place)
        self._rest()

    def _take(self, queue: str) -> None:
        expected, found = self._model.take(queue), self._real.take(queue)
        assert self._relied_on(found and found[0]) == self._relied_on(expected and expected[0])
        if expected and found:
            self._held.append((queue, expected[0].body, expected[1], found[1]))

    def _relied_on(self, delivery: Seen | None) -> Seen | None:
        """Without what is known to differ."""
        rejected = delivery is not None and any(reason == "rejected" for _, reason, _ in delivery.deaths)
        if delivery is None or not rejected or self._model.broker.version.believes_deaths:
            return delivery
        return replace(delivery, returns=0, redelivered=False)

    def _round(self, what: str, *, keep: bool) -> None:
        """Publish the last one taken again, as the runtime does or with all its headers; then acknowledge it."""
        if not self._held:
            return
        _, body, ours, theirs = self._held.pop()
        exchange, key = ("retry", "1.order.a") if what == "retry" else ("requeue", "order.a")
        self._publish(exchange, key, body, ours if keep else {}, theirs if keep else {}, LIFE_MS - 5)
        self._both("settle", "ack", len(self._held))

    def _publish(self, exchange: str, key: str, body: bytes, ours: Any, theirs: Any, life: int | None) -> None:
        life = life if exchange == "retry" else None
        count = "x-delivery-count"
        # A client that sends the broker's own count is not ours: we strip it, and versions differ about it.
        self._model.publish(exchange, key, body, {k: v for k, v in ours.items() if k != count}, life)
        self._real.publish(exchange, key, body, {k: v for k, v in theirs.items() if k != count}, life)

    def _both(self, what: str, *given: Any) -> None:
        getattr(self._model, what)(*given)
        getattr(self._real, what)(*given)

    def _rest(self) -> None:
        self._model.rest()
        self._real.rest()
        assert self._real.counts() == self._model.counts()


@pytest.fixture
def version(management: Management) -> Version:
    return VERSIONS[management.broker_version()[0]]


@pytest.fixture
def connection(amqp_url: str) -> Iterator[pika.BlockingConnection]:
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(amqp_url))) as opened:
        yield opened


TAKEN_AND_RETURNED = [("say", "order.a"), *[("take", "inbox"), ("requeue", 0)] * (LIMIT + 1)]


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(script=SCRIPTS)
@example(script=[*TAKEN_AND_RETURNED, ("take", "dlq"), ("lose", None), ("take", "dlq")])
@example(script=[("say", "order.a"), ("take", "inbox"), ("retry", False), ("take", "inbox"), ("retry", True)])
# A crash loop, a redrive that keeps every header, and a retry that keeps them too: lost on 3.x.
@example(
    script=[
        *TAKEN_AND_RETURNED,
        *[("take", "dlq"), ("redrive", True), ("take", "inbox"), ("retry", True), ("take", "inbox")],
    ]
)
@example(script=[*[("say", "order.a")] * 4, *[("take", "inbox")] * 3, ("lose", None), *[("take", "inbox")] * 4])
def test_the_model_delivers_what_rabbitmq_delivers(
    script: list[tuple[str, Any]], version: Version, connection: pika.BlockingConnection
) -> None:
    model = Model(Broker(TOPOLOGY, version))
    real = Real(connection, TOPOLOGY, model)
    both = Script(model, real)
    try:
        for step in script:
            both.carry_out(step)
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
