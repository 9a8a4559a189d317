"""The network between the programs and the model of the broker: latency, sessions, and the faults of both."""

import math
from asyncio import Future
from collections import Counter

from choregraphie import BrokerUnavailable
from choregraphie.messaging import Outgoing, PublishOutcome
from choregraphie.simulator.broker_model import Broker
from choregraphie.simulator.clock import VirtualLoop
from choregraphie.simulator.queues import Message
from choregraphie.simulator.randomness import Fault, Randomness
from choregraphie.simulator.session import SimulatedSession
from choregraphie.simulator.trace import Trace

# Every latency is a multiple of this, so that messages that could arrive together do.
GRID_SECONDS = 0.05
HOPS = (1, 1, 1, 2)
LATE_SECONDS = (0.3, 1.0, 2.5)
AWAY_SECONDS = (0.3, 1.0)
# A timer may fire early by a rounding error.
ROUNDING = 1e-6


class Network:
    """`up`: whether the broker answers; `in_transit`: how many confirmed messages have not reached a queue yet."""

    def __init__(self, loop: VirtualLoop, broker: Broker, randomness: Randomness, trace: Trace) -> None:
        self.loop = loop
        self.broker = broker
        self.randomness = randomness
        self.trace = trace
        self.up = True
        self.in_transit = 0
        self.sent: Counter[str] = Counter()
        self.sessions: dict[str, list[SimulatedSession]] = {queue: [] for queue in broker.queues}
        self._next_session = 0

    async def pause(self, hops: float) -> None:
        """Wait for `hops` steps of the grid, until a point of the grid."""
        done = self.loop.create_future()
        self.loop.call_at(self._point(hops), _finish, done)
        await done

    def _point(self, hops: float) -> float:
        return round(self.loop.now / GRID_SECONDS + hops) * GRID_SECONDS

    def open(self, program: str, queue: str, prefetch: int) -> SimulatedSession:
        """Open a session that consumes from `queue`. Raises BrokerUnavailable while the broker is down."""
        if not self.up:
            raise BrokerUnavailable("the broker is away")
        return SimulatedSession(self, program, queue, prefetch)

    async def publish(self, program: str, batch: list[Outgoing]) -> list[PublishOutcome]:
        """Publish `batch`; after an outcome UNKNOWN no more of it is sent. Returns what `program` can know."""
        outcomes: list[PublishOutcome] = []
        for message in batch:
            cut_off = not self.up or PublishOutcome.UNKNOWN in outcomes
            outcomes.append(PublishOutcome.UNKNOWN if cut_off else self._publish(program, message))
        await self.pause(self.randomness.choice(HOPS, "confirm", program, len(batch), self.loop.now))
        return outcomes

    def _publish(self, program: str, message: Outgoing) -> PublishOutcome:
        name = f"{message.exchange}:{message.properties.message_id or len(message.body)}"
        self.sent[name] += 1
        where = (program, name, self.sent[name])
        if self.randomness.occurs(Fault.PUBLISH_LOST, *where):
            self._note(program, message, "is lost on its way to the broker")
            return PublishOutcome.UNKNOWN
        if self.randomness.occurs(Fault.RETURNED, *where):
            self._note(program, message, "is returned: no queue is bound")
            return PublishOutcome.RETURNED
        if self.randomness.occurs(Fault.REFUSED, *where):
            # One full queue is enough for a refusal; the other queues may have taken the message.
            self._note(program, message, "is refused: a queue is full")
            if self.randomness.fraction("refused by all", *where) < 0.5:
                self.transmit(message, where)
            return PublishOutcome.REFUSED
        if not self.transmit(message, where):
            return PublishOutcome.RETURNED
        if self.randomness.occurs(Fault.CONFIRM_LOST, *where):
            self._note(program, message, "is taken, and its confirm is lost")
            return PublishOutcome.UNKNOWN
        return PublishOutcome.CONFIRMED

    def transmit(self, message: Outgoing, where: tuple[object, ...]) -> bool:
        """Let the broker take a message. Returns whether a queue is bound to its key."""
        reached = self.broker.route(message.exchange, message.routing_key)
        accepted = self.broker.accept(_as_message(message))
        for queue in reached:
            if queue in self.broker.streams:
                self.broker.now = self.loop.now
                self.broker.put(queue, accepted)
                continue
            self._send(queue, accepted, self.randomness.choice(HOPS, "hop", queue, *where))
            if self.randomness.occurs(Fault.TWICE, queue, *where):
                self._send(queue, accepted, self.randomness.choice(HOPS, "again", queue, *where) + 1)
        return bool(reached)

    def _send(self, queue: str, message: Message, hops: float) -> None:
        name = (queue, message.exchange, message.properties.message_id, self.loop.now)
        if self.randomness.occurs(Fault.LATE, *name):
            hops += self.randomness.choice(LATE_SECONDS, "late", *name) / GRID_SECONDS
        self.in_transit += 1
        self.loop.call_at(self._point(hops), self._arrive, queue, message)

    def _arrive(self, queue: str, message: Message) -> None:
        self.in_transit -= 1
        self.broker.now = self.loop.now
        self.broker.put(queue, message)
        self._watch_expiry(queue)
        self.deliver_ready(queue)

    def _watch_expiry(self, queue: str) -> None:
        due = self.broker.queues[queue].next_expiry()
        if due is not None:
            # Rounded up to the grid, so that messages that expire at nearly the same time come back together.
            self.loop.call_at(math.ceil(due / GRID_SECONDS) * GRID_SECONDS, self._expire, queue)

    def _expire(self, queue: str) -> None:
        self.broker.now = self.loop.now
        self.broker.queues[queue].expire(self.loop.now + ROUNDING)
        self._watch_expiry(queue)
        for name, sessions in self.sessions.items():
            if sessions:
                self.deliver_ready(name)

    def deliver_ready(self, queue: str) -> None:
        """Deliver what is ready, in turn, to the sessions with room."""
        source = self.broker.queues[queue]
        while len(source) and (open_sessions := [session for session in self.sessions[queue] if session.has_room]):
            self._next_session += 1
            taken = source.take()
            assert taken is not None  # noqa: S101 - it is not empty
            open_sessions[self._next_session % len(open_sessions)].receive(*taken)

    def go_down(self, program: str) -> None:
        """Take the broker down, and every session with it. It keeps what it has confirmed."""
        self.up = False
        self.trace.note(program, "goes away, with every session")
        for session in [session for sessions in self.sessions.values() for session in sessions]:
            session.disconnect("the broker went away")

    def come_up(self, program: str) -> None:
        self.up = True
        self.trace.note(program, "is back")

    def is_idle(self) -> bool:
        """Whether nothing is in transit and every queue, except those of dead letters, is empty."""
        working = (q for q in self.broker.queues.values() if q.dead_letter_exchange is not None)
        return not self.in_transit and all(not len(queue) and not queue.unacked for queue in working)

    def _note(self, program: str, message: Outgoing, what: str) -> None:
        self.trace.note(program, f"{message.routing_key} {what}", key=message.properties.correlation_id or "")


def _finish(waiting: "Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)


def _as_message(message: Outgoing) -> Message:
    return Message(
        message.body,
        message.exchange,
        message.routing_key,
        dict(message.headers),
        message.properties,
        message.expiration_ms,
    )
