"""The parts of a delivery and of a history entry that engine and monitor rely on, from either broker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from choregraphie.saga.trace_context import TRACEPARENT_HEADER
from choregraphie.simulator.broker_model import X_DEATH, Version, headers_of
from choregraphie.simulator.queues import ACQUIRED_COUNT, DELIVERY_COUNT

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pika

    from choregraphie.simulator.queues import Message

_FIRST_DEATH = ("x-first-death-queue", "x-first-death-reason", "x-first-death-exchange")


@dataclass(frozen=True)
class Seen:
    """A delivery. `ours`: our own headers."""

    body: bytes
    exchange: str
    routing_key: str
    message_id: str | None
    redelivered: bool
    count: int
    acquired: int
    first_death: tuple[object, ...]
    deaths: tuple[tuple[str, str, int], ...]
    ours: tuple[tuple[str, object], ...]

    def comparable(self, version: Version) -> Seen:
        """Without the declared differences between versions that are not modelled."""
        rejected = any(reason == "rejected" for _, reason, _ in self.deaths)
        if version.dead_start_anew or not rejected:
            return self
        return replace(self, redelivered=False, count=0, acquired=0)


def by_model(message: Message) -> Seen:
    name = message.properties.message_id
    return _seen(
        message.body, (message.exchange, message.routing_key), name, message.redelivered, headers_of(message)
    )


def by_rabbitmq(method: Any, properties: pika.BasicProperties, body: bytes) -> Seen:
    place = (method.exchange, method.routing_key)
    return _seen(body, place, properties.message_id, bool(method.redelivered), properties.headers or {})


def _seen(
    body: bytes, place: tuple[str, str], name: str | None, redelivered: bool, headers: Mapping[str, Any]
) -> Seen:
    deaths = tuple((death["queue"], death["reason"], death["count"]) for death in headers.get(X_DEATH) or ())
    return Seen(
        body,
        *place,
        name,
        redelivered,
        headers.get(DELIVERY_COUNT) or 0,
        headers.get(ACQUIRED_COUNT) or 0,
        tuple(headers.get(name) for name in _FIRST_DEATH),
        deaths,
        tuple(sorted((k, v) for k, v in headers.items() if k.startswith("x-saga-") or k == TRACEPARENT_HEADER)),
    )
