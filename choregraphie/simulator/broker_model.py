"""A model of RabbitMQ: exchanges, topic routing, queues, dead-lettering; without time, network or faults. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from choregraphie.saga.topology import Topology, matches
from choregraphie.simulator.queues import ACQUIRED_COUNT, DELIVERY_COUNT, Death, Message, QuorumQueue, Stream

X_DEATH = "x-death"


@dataclass(frozen=True)
class Version:
    """What differs between the supported versions of RabbitMQ. Source: scripts run on 3.10.8, 4.0.5 and 4.3.6.

    believes_deaths        an `x-death` that a client sends counts: the message, published again with it, is
                           dropped when it reaches a queue named there
    passes_delivery_count  `basic.get` shows an `x-delivery-count` that a client sends, until the broker counts
                           itself; a consumer sees it in either version
    streams_keep_deaths    a stream keeps the `x-death` that the broker wrote; without it, only `x-first-death-*`
    dead_start_anew        a dead letter first comes without a count and not `redelivered`. Without it, a message
                           that a client has rejected comes with both; this is not modelled, because no service
                           rejects for good
    counts_acquired        a `nack` with `requeue` counts in `x-acquired-count` alone; a `reject` and a lost
                           session count in both. A dead letter of the delivery limit comes with both counts and
                           `redelivered`, and its delivery count goes on. Without it, each counts towards the
                           delivery limit
    """

    name: str
    believes_deaths: bool
    passes_delivery_count: bool
    streams_keep_deaths: bool
    dead_start_anew: bool
    counts_acquired: bool = False


RABBIT_3_10 = Version(
    "3.10", believes_deaths=True, passes_delivery_count=False, streams_keep_deaths=False, dead_start_anew=True
)
RABBIT_4_0 = Version(
    "4.0", believes_deaths=False, passes_delivery_count=True, streams_keep_deaths=True, dead_start_anew=False
)
RABBIT_4_3 = replace(RABBIT_4_0, name="4.3", counts_acquired=True)
VERSIONS = (RABBIT_3_10, RABBIT_4_0, RABBIT_4_3)


class Broker:
    """A broker with the queues and bindings of `topology`. The caller moves its time, `now`, in seconds.

    `delivery_limit` replaces that of every queue that has a dead-letter exchange: the same transitions, sooner.
    """

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
        """Declare what is missing; what exists keeps its content."""
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
        self.queues[name] = QuorumQueue(name, arguments, self._dead_letter, self.version.counts_acquired)

    def route(self, exchange: str, key: str) -> tuple[str, ...]:
        """The queues and streams, each once, that a message with this key would reach."""
        if (exchange, key) not in self._routes:
            found = [queue for e, pattern, queue in self._bindings if e == exchange and matches(pattern, key)]
            self._routes[exchange, key] = tuple(dict.fromkeys(found))
        return self._routes[exchange, key]

    def accept(self, message: Message) -> Message:
        """The message as the broker stores it when a client publishes it."""
        believed = message.headers.get(X_DEATH) if self.version.believes_deaths else None
        deaths = _read(believed) if believed else ()
        if not message.redelivered and message.deaths == deaths:
            return message
        return replace(message, count=0, acquired=0, redelivered=False, deaths=deaths)

    def put(self, queue: str, message: Message) -> None:
        if queue in self.streams:
            self.streams[queue].put(self._for_stream(message), self.now)
        else:
            self.queues[queue].put(message, self.now)

    def _for_stream(self, message: Message) -> Message:
        """The message as a stream stores it."""
        if not message.headers and not message.deaths:
            return message
        scalars = {name: value for name, value in message.headers.items() if not isinstance(value, list | dict)}
        # A client's tables are lost in either version; the broker writes its own anew.
        own = _shown(message.deaths) if self.version.streams_keep_deaths and message.deaths else {}
        if message.redelivered:  # a dead letter with its counts, which a stream does not show
            scalars.pop(ACQUIRED_COUNT, None)
        return replace(message, headers=scalars | own, redelivered=False, count=0)

    def publish(self, message: Message) -> tuple[str, ...]:
        """Accept a client's message and route it at once. Returns the queues and streams it reached."""
        accepted = self.accept(message)
        reached = self.route(message.exchange, message.routing_key)
        for queue in reached:
            self.put(queue, accepted)
        return reached

    def expire(self, now: float) -> None:
        """Move the time to `now` and expire what is due."""
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
        keeps_counts = self.version.counts_acquired and reason == "delivery_limit"
        kept = {ACQUIRED_COUNT: message.acquired} if keeps_counts else {}
        dead = replace(
            message,
            exchange=queue.dead_letter_exchange,
            headers={**message.headers, **kept, **_shown(deaths)},
            expiration_ms=None if reason == "expired" else message.expiration_ms,
            count=message.count if kept else 0,
            acquired=0,
            redelivered=bool(kept),
            deaths=deaths,
        )
        reached = self.route(dead.exchange, dead.routing_key)
        open_to_it = [name for name in reached if name in self.streams or not _is_cycle(name, deaths)]
        for name in open_to_it:
            self.put(name, dead)
        return bool(reached) and open_to_it == list(reached)


def headers_of(message: Message) -> dict[str, Any]:
    """The headers that a consumer sees."""
    counts = {DELIVERY_COUNT: message.count, ACQUIRED_COUNT: message.acquired}
    return dict(message.headers) | {name: count for name, count in counts.items() if count}


def _is_cycle(queue: str, deaths: Sequence[Death]) -> bool:
    """Whether a dead letter is back in a queue where it died, without a rejection since: it is then dropped."""
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
