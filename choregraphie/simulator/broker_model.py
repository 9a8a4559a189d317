"""A model of RabbitMQ: exchanges, topic routing, queues, dead-lettering. Without time, network or faults. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from choregraphie.saga.topology import Topology
from choregraphie.simulator.queues import DELIVERY_COUNT, Death, Message, QuorumQueue, Stream

X_DEATH = "x-death"


@dataclass(frozen=True)
class Version:
    """What differs between the versions of RabbitMQ that we run on. Sources: scripts tried on both.

    `believes_deaths`: an `x-death` that a client sends counts, so a message published again with it is lost
    when it meets a queue named there.
    `passes_delivery_count`: an `x-delivery-count` that a client sends is shown to `basic.get` until the broker
    counts itself; a consumer sees it either way.
    `streams_keep_deaths`: the `x-death` that the broker wrote is in a stream too, else its
    `x-first-death-*` alone.
    `dead_start_anew`: a dead letter comes first without a count and not `redelivered`. Where it does not, what a
    client has rejected comes with both, which is not modelled: we never reject for good.
    """

    name: str
    believes_deaths: bool
    passes_delivery_count: bool
    streams_keep_deaths: bool
    dead_start_anew: bool


RABBIT_3_10 = Version(
    "3.10", believes_deaths=True, passes_delivery_count=False, streams_keep_deaths=False, dead_start_anew=True
)
RABBIT_4_0 = Version(
    "4.0", believes_deaths=False, passes_delivery_count=True, streams_keep_deaths=True, dead_start_anew=False
)
VERSIONS = (RABBIT_3_10, RABBIT_4_0)


def matches(pattern: str, key: str) -> bool:
    """Topic matching: `*` is one word, `#` any number of them."""
    return _matches(pattern.split("."), key.split("."))


def _matches(pattern: Sequence[str], words: Sequence[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return _matches(pattern[1:], words) or bool(words and _matches(pattern, words[1:]))
    return bool(words) and pattern[0] in {"*", words[0]} and _matches(pattern[1:], words[1:])


class Broker:
    """`now` is moved by whoever holds it. `delivery_limit` replaces that of every queue that has a dead-letter
    exchange: the same transitions, reached sooner."""

    def __init__(
        self, topology: Topology, version: Version = RABBIT_3_10, delivery_limit: int | None = None
    ) -> None:
        self.version = version
        self.now = 0.0
        self.exchanges: set[str] = set()
        self.queues: dict[str, QuorumQueue] = {}
        self.streams: dict[str, Stream] = {}
        self._limit = delivery_limit
        self._bindings: list[tuple[str, str, str]] = []
        self._routes: dict[tuple[str, str], tuple[str, ...]] = {}
        self.declare(topology)

    def declare(self, topology: Topology) -> None:
        """What is not there yet is made; what is there keeps what it holds."""
        self.exchanges |= {exchange.name for exchange in topology.exchanges}
        for queue in topology.queues:
            if queue.name not in self.queues and queue.name not in self.streams:
                self._declare(queue.name, queue.arguments)
        wanted = [(b.exchange, b.key, b.queue) for b in topology.bindings]
        self._bindings = list(dict.fromkeys([*self._bindings, *wanted]))
        self._routes.clear()

    def _declare(self, name: str, arguments: Mapping[str, Any]) -> None:
        if arguments.get("x-queue-type") == "stream":
            self.streams[name] = Stream(name)
            return
        if self._limit is not None and "x-dead-letter-exchange" in arguments:
            arguments = {**arguments, "x-delivery-limit": self._limit}
        self.queues[name] = QuorumQueue(name, arguments, self._dead_letter)

    def route(self, exchange: str, key: str) -> tuple[str, ...]:
        """The queues and streams, each once, that a message published so would reach."""
        if (exchange, key) not in self._routes:
            found = [queue for e, pattern, queue in self._bindings if e == exchange and matches(pattern, key)]
            self._routes[exchange, key] = tuple(dict.fromkeys(found))
        return self._routes[exchange, key]

    def accept(self, message: Message) -> Message:
        """What the broker makes of a message that a client publishes."""
        believed = message.headers.get(X_DEATH) if self.version.believes_deaths else None
        deaths = _read(believed) if believed else ()
        if not message.count and message.deaths == deaths:
            return message
        return replace(message, count=0, deaths=deaths)

    def put(self, queue: str, message: Message) -> None:
        if queue in self.streams:
            self.streams[queue].put(self._shelved(message), self.now)
        else:
            self.queues[queue].put(message, self.now)

    def _shelved(self, message: Message) -> Message:
        """What of `message` a stream keeps."""
        if not message.headers and not message.deaths:
            return message
        scalars = {name: value for name, value in message.headers.items() if not isinstance(value, list | dict)}
        # A client's tables are lost on either; the broker's own is written anew.
        own = _shown(message.deaths) if self.version.streams_keep_deaths and message.deaths else {}
        return replace(message, headers=scalars | own)

    def publish(self, message: Message) -> tuple[str, ...]:
        """Accept a client's message and put it everywhere at once; where it went."""
        accepted = self.accept(message)
        reached = self.route(message.exchange, message.routing_key)
        for queue in reached:
            self.put(queue, accepted)
        return reached

    def expire(self, now: float) -> None:
        """Let time pass."""
        self.now = now
        for queue in self.queues.values():
            queue.expire(now)

    def next_expiry(self) -> float | None:
        times = [time for queue in self.queues.values() if (time := queue.next_expiry()) is not None]
        return min(times, default=None)

    def _dead_letter(self, queue: QuorumQueue, message: Message, reason: str) -> bool:
        assert queue.dead_letter_exchange is not None  # noqa: S101 - else nobody asks
        death = Death(queue.name, reason, message.exchange, message.routing_key)
        deaths = _with(message.deaths, death)
        dead = replace(
            message,
            exchange=queue.dead_letter_exchange,
            headers={**message.headers, **_shown(deaths)},
            expiration_ms=None if reason == "expired" else message.expiration_ms,
            count=0,
            deaths=deaths,
        )
        reached = self.route(dead.exchange, dead.routing_key)
        open_to_it = [name for name in reached if name in self.streams or not _is_cycle(name, deaths)]
        for name in open_to_it:
            self.put(name, dead)
        return bool(reached) and open_to_it == list(reached)


def headers_of(message: Message) -> dict[str, Any]:
    """The headers that a consumer sees."""
    return dict(message.headers) | ({DELIVERY_COUNT: message.count} if message.count else {})


def _is_cycle(queue: str, deaths: Sequence[Death]) -> bool:
    """A dead letter comes to a queue where it died before, and no client ever rejected it since: it is dropped."""
    since = [index for index, death in enumerate(deaths) if death.queue == queue]
    return bool(since) and all(death.reason != "rejected" for death in deaths[: since[0] + 1])


def _with(deaths: tuple[Death, ...], new: Death) -> tuple[Death, ...]:
    before = [death for death in deaths if (death.queue, death.reason) == (new.queue, new.reason)]
    rest = tuple(death for death in deaths if death not in before)
    return (replace(before[0], count=before[0].count + 1) if before else new, *rest)


def _shown(deaths: tuple[Death, ...]) -> dict[str, Any]:
    first = deaths[-1]
    table = [
        {
            "queue": d.queue,
            "reason": d.reason,
            "exchange": d.exchange,
            "routing-keys": [d.routing_key],
            "count": d.count,
        }
        for d in deaths
    ]
    return {
        X_DEATH: table,
        "x-first-death-queue": first.queue,
        "x-first-death-reason": first.reason,
        "x-first-death-exchange": first.exchange,
    }


def _read(table: Sequence[Mapping[str, Any]]) -> tuple[Death, ...]:
    return tuple(
        Death(d["queue"], d["reason"], d["exchange"], next(iter(d["routing-keys"]), ""), d["count"]) for d in table
    )
