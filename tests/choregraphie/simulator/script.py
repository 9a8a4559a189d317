"""Carries out a script on the model and on a real broker, and compares both after every step.

No broker promises which of several consumers gets a message, so the model follows the real one in that. Compared
is what a broker does promise: which messages are delivered, that no consumer exceeds its prefetch, and that each
consumer gets its messages in the order of the queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from choregraphie.saga.topology import (
    ATTEMPT_HEADER,
    EXCHANGE_HEADER,
    REASON_HEADER,
    SERVICE_HEADER,
    dlq,
    dlx,
    inbox,
    requeue,
    retry,
)
from choregraphie.saga.trace_context import TRACEPARENT_HEADER
from choregraphie.simulator.broker_model import headers_of
from tests.choregraphie.simulator.observation import by_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from choregraphie.saga.topology import Topology
    from tests.choregraphie.simulator.model_broker import Leaving, Model
    from tests.choregraphie.simulator.real_broker import Arrival, Real

WORKERS = ("first", "second")
OPERATOR = "operator"  # takes dead letters one by one, as our tools do
# more messages than any script publishes
EVERYTHING = 100


@dataclass(frozen=True)
class Held:
    """An unacknowledged delivery, as each side knows it."""

    worker: str
    queue: str
    number: int
    tag: int
    key: str
    body: bytes
    ours: dict[str, Any]
    theirs: dict[str, Any]

    @property
    def service(self) -> str:
        return self.queue.partition(".")[0]

    @property
    def to_the_model(self) -> tuple[str, str, int]:
        return self.worker, self.queue, self.number


class Script:
    """`parts`: topologies to declare, by name; `delay` of the retry queues; `life_ms`, a little less."""

    def __init__(self, model: Model, real: Real, parts: Mapping[str, Topology], delay: str, life_ms: int) -> None:
        self._model, self._real, self._parts = model, real, parts
        self._delay, self._life_ms = delay, life_ms
        self._said = 0
        self._held: list[Held] = []

    def carry_out(self, what: str, *details: Any) -> None:
        """Carry out one step. A step that makes no sense at this point does nothing."""
        getattr(self, f"_{what}")(*details)
        self._rest()

    def end(self) -> None:
        """Compare what no step has compared."""
        for worker in (*WORKERS, OPERATOR):
            self.carry_out("lose", worker)
        for service in self._parts:
            self.carry_out("consume", WORKERS[0], service, EVERYTHING)
            for _ in range(self._model.counts().get(dlq(service), 0)):
                self.carry_out("take", service)

    def _declare(self, part: str) -> None:
        self._model.declare(self._parts[part])
        self._real.declare(self._parts[part])

    def _say(self, exchange: str, key: str) -> None:
        self._said += 1
        body = f"message-{self._said}".encode()
        trace = {TRACEPARENT_HEADER: f"trace-{self._said}"}
        self._publish(exchange, key, body, trace, trace)

    def _consume(self, worker: str, service: str, prefetch: int) -> None:
        queue = inbox(service)
        at_work = (worker, queue) in self._model.prefetch or any(
            (held.worker, held.queue) == (worker, queue) for held in self._held
        )
        if queue in self._model.broker.queues and not at_work:
            self._model.consume(worker, queue, prefetch)
            self._real.consume(worker, queue, prefetch)

    def _cancel(self, worker: str, service: str) -> None:
        """Cancel the consumer: no more deliveries; what is unacknowledged stays so."""
        if (worker, inbox(service)) in self._model.prefetch:
            self._model.cancel(worker, inbox(service))
            self._real.cancel(worker, inbox(service))

    def _take(self, service: str) -> None:
        if dlq(service) in self._model.broker.queues:
            self._model.take(dlq(service))
            self._real.take(OPERATOR, dlq(service))

    def _settle(self, how: str, place: int) -> None:
        if self._held:
            held = self._held.pop(place % len(self._held))
            self._model.settle(how, held.to_the_model)
            self._real.settle(how, held.worker, held.tag)

    def _retry(self, place: int, keep: bool) -> None:
        if self._held:
            held = self._held[place % len(self._held)]
            self._again(retry(held.service), f"{self._delay}.{held.key}", place, keep=keep, life_ms=self._life_ms)

    def _redrive(self, place: int, keep: bool) -> None:
        if self._held:
            held = self._held[place % len(self._held)]
            self._again(requeue(held.service), held.key, place, keep=keep)

    def _bury(self, place: int, keep: bool) -> None:
        if self._held:
            held = self._held[place % len(self._held)]
            self._again(dlx(held.service), held.key, place, keep=keep)

    def _again(self, exchange: str, key: str, place: int, *, keep: bool, life_ms: int | None = None) -> None:
        """Publish it again with our headers, as the engine does, or with all headers; then acknowledge it."""
        held = self._held[place % len(self._held)]
        new = {
            ATTEMPT_HEADER: self._said,
            EXCHANGE_HEADER: "client.events",
            SERVICE_HEADER: held.service,
            REASON_HEADER: exchange,
        }
        ours, theirs = (held.ours | new, held.theirs | new) if keep else (new, new)
        self._publish(exchange, key, held.body, ours, theirs, life_ms)
        self._settle("ack", place)

    def _lose(self, worker: str) -> None:
        self._held = [held for held in self._held if held.worker != worker]
        self._model.lose(worker)
        self._real.lose(worker)

    def _publish(
        self,
        exchange: str,
        key: str,
        body: bytes,
        ours: dict[str, Any],
        theirs: dict[str, Any],
        life_ms: int | None = None,
    ) -> None:
        expected = self._model.publish(exchange, key, body, ours, life_ms)
        assert self._real.publish(exchange, key, body, theirs, life_ms) is expected

    def _rest(self) -> None:
        self._model.rest()
        self._real.rest(self._agree)
        assert self._real.counts() == self._model.counts()
        assert self._real.arrived() == self._model.arrived()
        for queue in self._model.broker.queues:
            self._match(queue)
        self._model.leaving.clear()
        self._real.arrivals.clear()
        self._compare_streams()

    def _agree(self) -> bool:
        return self._real.arrived() == self._model.arrived() and self._real.counts() == self._model.counts()

    def _match(self, queue: str) -> None:
        """Compare the deliveries from `queue` since the last step; each consumer gets its own in order."""
        left = {leaving.message.body: leaving for leaving in self._model.leaving if leaving.queue == queue}
        arrivals = [arrival for arrival in self._real.arrivals if arrival.queue == queue]
        version = self._model.broker.version
        expected = {body: by_model(leaving.message).comparable(version) for body, leaving in left.items()}
        assert {arrival.seen.body: arrival.seen.comparable(version) for arrival in arrivals} == expected
        for worker in (*WORKERS, OPERATOR):
            numbers = [left[found.seen.body].number for found in arrivals if found.worker == worker]
            assert all(earlier < later for earlier, later in pairwise(numbers)), arrivals
        # In the order of the queue, so that a script names the same message whoever got it.
        for arrival in sorted(arrivals, key=lambda found: left[found.seen.body].number):
            self._hold(arrival, left[arrival.seen.body])
        self._check_prefetch(queue)

    def _hold(self, arrival: Arrival, leaving: Leaving) -> None:
        seen = arrival.seen
        held = Held(
            arrival.worker,
            arrival.queue,
            leaving.number,
            arrival.tag,
            seen.routing_key,
            seen.body,
            headers_of(leaving.message),
            arrival.headers,
        )
        self._held.append(held)
        self._model.held.append(held.to_the_model)

    def _check_prefetch(self, queue: str) -> None:
        for (worker, name), prefetch in self._model.prefetch.items():
            if name == queue:
                assert sum((held.worker, held.queue) == (worker, queue) for held in self._held) <= prefetch

    def _compare_streams(self) -> None:
        """Compare the entries by exchange: a broker promises no order between two of them."""
        for name, stream in self._model.broker.streams.items():
            expected = [by_model(entry.message) for entry in stream.entries]
            found = self._real.entries[name]
            assert sorted(found, key=lambda seen: seen.exchange) == sorted(
                expected, key=lambda seen: seen.exchange
            )
