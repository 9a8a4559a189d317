"""The live broker against the declared topology: each difference, with what to do. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from choregraphie.deployment.live import LiveQueue, LiveTopology
from choregraphie.deployment.remedies import Remedies
from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import HISTORY, Binding, Queue, Topology, dlq, exchange_of, inbox, matches, retry
from choregraphie.terminal.formats import counted

# What a policy may not add to a queue: it would drop or divert messages. The history may have smaller bounds.
_HARMFUL = {
    *("message-ttl", "expires", "max-age", "max-length", "max-length-bytes", "max-in-memory-length", "overflow"),
    *("delivery-limit", "dead-letter-exchange", "dead-letter-routing-key", "dead-letter-strategy"),
}
_HARMFUL_TO_THE_HISTORY = {"expires"}


class Kind(StrEnum):
    """What can differ."""

    EXCHANGE_MISSING = "exchange_missing"
    EXCHANGE_OTHER = "exchange_other"
    QUEUE_MISSING = "queue_missing"
    QUEUE_OTHER = "queue_other"
    QUEUE_UNDECLARED = "queue_undeclared"
    BINDING_MISSING = "binding_missing"
    BINDING_UNDECLARED = "binding_undeclared"
    POLICY = "policy"
    UNROUTABLE = "unroutable"
    NO_CONSUMER = "no_consumer"
    UNDECLARED_CONSUMER = "undeclared_consumer"
    NO_LEADER = "no_leader"
    HIDDEN = "hidden"


@dataclass(frozen=True)
class Difference:
    """`subject`: the exchange, queue or event type that differs; `remedy`: what a person does about it."""

    kind: Kind
    subject: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.subject} {self.what}; {self.remedy}"


def compare(
    sagas: SagaSet, wanted: Topology, live: LiveTopology, remedies: Remedies, *, workers: bool = True
) -> list[Difference]:
    """Every difference between `live` and `wanted`, the gravest kinds first.

    workers  whether every inbox must have a consumer
    """
    comparison = _Comparison(sagas, wanted, live, remedies)
    found = [
        *comparison.exchanges(),
        *comparison.queues(),
        *comparison.missing_bindings(),
        *comparison.unroutable(),
        *comparison.undeclared_bindings(),
        *comparison.undeclared_queues(),
        *comparison.states(),
    ]
    return found + [one for one in comparison.consumers() if workers or one.kind is not Kind.NO_CONSUMER]


@dataclass(frozen=True)
class _Comparison:
    sagas: SagaSet
    wanted: Topology
    live: LiveTopology
    remedies: Remedies

    def exchanges(self) -> Iterator[Difference]:
        for exchange in self.wanted.exchanges:
            found = self.live.exchanges.get(exchange.name)
            if found is None:
                yield Difference(Kind.EXCHANGE_MISSING, exchange.name, "is missing", self.remedies.apply)
                continue
            wrong = [f"of type {found.type} and not {exchange.type}"] if found.type != exchange.type else []
            wrong += [] if found.durable else ["not durable"]
            wrong += ["internal"] if found.internal else []
            if wrong:
                remedy = self.remedies.exchange_migration(exchange.name)
                yield Difference(Kind.EXCHANGE_OTHER, exchange.name, f"is {' and '.join(wrong)}", remedy)

    def queues(self) -> Iterator[Difference]:
        for queue in self.wanted.queues:
            found = self.live.queues.get(queue.name)
            if found is None:
                yield Difference(Kind.QUEUE_MISSING, queue.name, "is missing", self._after_a_loss(queue))
                continue
            if wrong := [*_other_arguments(queue, found)]:
                remedy = self.remedies.queue_migration(queue.name)
                yield Difference(Kind.QUEUE_OTHER, queue.name, f"has {', '.join(wrong)}", remedy)
            harmful = _HARMFUL_TO_THE_HISTORY if queue.name == HISTORY else _HARMFUL
            if added := sorted(harmful & found.policy.keys()):
                what = (
                    f"gets {', '.join(added)} from the policy {found.policy_name}: messages are lost or diverted"
                )
                remedy = f"change its pattern so that it leaves {queue.name} out"
                yield Difference(Kind.POLICY, queue.name, what, remedy)

    def _after_a_loss(self, queue: Queue) -> str:
        senders = [
            sender for one in self.wanted.bindings if one.queue == queue.name for sender in self._senders(one)
        ]
        resent = dict.fromkeys(map(self.remedies.resend, senders))
        return "; then ".join([self.remedies.apply, *resent])

    def _senders(self, binding: Binding) -> list[str]:
        """Whose messages a service misses without `binding`."""
        if binding.queue == HISTORY:
            return []
        return [one for one in self.sagas.speakers if binding.exchange in self.wanted.published_by(one)]

    def missing_bindings(self) -> Iterator[Difference]:
        for binding in self.wanted.bindings:
            gone = binding.exchange not in self.live.exchanges or binding.queue not in self.live.queues
            if gone or binding in self.live.bindings:
                continue
            resent = map(self.remedies.resend, self._senders(binding))
            remedy = "; then ".join([self.remedies.apply, *resent])
            what = f"is not bound to {binding.exchange} by {binding.key}"
            yield Difference(Kind.BINDING_MISSING, binding.queue, what, remedy)

    def unroutable(self) -> Iterator[Difference]:
        """The event types that reach no service, though one hears them; or no queue at all."""
        for type_, event in self.sagas.event_types.items():
            exchange = exchange_of(event)
            bound = [one for one in self.live.bindings if one.exchange == exchange]
            reached = {one.queue for one in bound if matches(one.key, type_)}
            heard = {one.queue for one in self.wanted.bindings if (one.exchange, one.key) == (exchange, type_)}
            # A missing exchange or queue is named by itself.
            if exchange not in self.live.exchanges or heard - self.live.queues.keys():
                continue
            if not reached:
                what = f"reaches no queue, so the broker returns it and {event.SAID_BY} cannot publish it"
            elif heard and not reached & heard:
                what = "reaches no service that hears it"
            else:
                continue
            yield Difference(Kind.UNROUTABLE, type_, what, self.remedies.apply)

    def undeclared_bindings(self) -> Iterator[Difference]:
        own_queues = {queue.name for queue in self.wanted.queues}
        own_exchanges = {exchange.name for exchange in self.wanted.exchanges}
        for one in sorted(self.live.bindings - {*self.wanted.bindings}, key=_place):
            if one.queue in own_queues:
                yield self._undeclared(one, "queue", "so messages reach it that are not for it")
        for one in sorted(self.live.forwards, key=_place):
            if one.queue in own_exchanges:
                yield self._undeclared(one, "exchange", "so its messages may be of any sender")

    def _undeclared(self, binding: Binding, kind: str, why: str) -> Difference:
        remedy = self.remedies.unbind(kind, binding.exchange, binding.queue, binding.key)
        what = f"is bound to {binding.exchange} by {binding.key}, which is not declared, {why}"
        return Difference(Kind.BINDING_UNDECLARED, binding.queue, what, f"take the binding away: {remedy}")

    def undeclared_queues(self) -> Iterator[Difference]:
        declared = {queue.name for queue in self.wanted.queues}
        for name in sorted(self.live.queues.keys() - declared):
            if any(name.startswith(f"{retry(service)}.") for service in self.sagas.services):
                what = "is not declared: a delay queue of other SAGA_RETRY_DELAYS"
                delete = self.remedies.delete_queue(name)
                remedy = f"its messages come back by themselves; delete it when it is empty: {delete}"
                yield Difference(Kind.QUEUE_UNDECLARED, name, what, remedy)

    def states(self) -> Iterator[Difference]:
        for queue in self.wanted.queues:
            found = self.live.queues.get(queue.name)
            if found is None:
                continue
            if not found.state.served:
                what = "has no leader: nothing gets in or out, and the broker counts 0 messages"
                remedy = "start the nodes that hold it, or restart those that run; its messages are kept"
                yield Difference(Kind.NO_LEADER, queue.name, what, remedy)
            elif found.state.hidden:
                what = f"hides {counted(found.state.hidden, 'message')}, which the broker cannot dead-letter"
                target = queue.arguments.get("x-dead-letter-exchange", "its dead-letter exchange")
                remedy = (
                    f"see that {target} and the queue behind it exist and take messages; one that stays carries"
                    " the x-death of an earlier dead-lettering: have its sender publish it again"
                )
                yield Difference(Kind.HIDDEN, queue.name, what, remedy)

    def consumers(self) -> Iterator[Difference]:
        for service in self.sagas.services:
            count = self.live.counts.get(inbox(service))
            if count is not None and not count.consumers:
                what = f"has no consumer, and {counted(count.messages, 'message')}"
                foreign = service in self.sagas.foreign
                remedy = f"start {service}, which others run" if foreign else self.remedies.run(service)
                yield Difference(Kind.NO_CONSUMER, inbox(service), what, remedy)
            for name, other in self.live.counts.items():
                if other.consumers and (name == dlq(service) or name.startswith(f"{retry(service)}.")):
                    consumers = counted(other.consumers, "consumer")
                    what = f"has {consumers}, so its messages do not stay there until they are due"
                    remedy = f"end them: {self.remedies.list_consumers} names their channels"
                    yield Difference(Kind.UNDECLARED_CONSUMER, name, what, remedy)


def _place(binding: Binding) -> tuple[str, str, str]:
    return binding.exchange, binding.queue, binding.key


def _other_arguments(queue: Queue, found: LiveQueue) -> Iterator[str]:
    for name in sorted(queue.arguments.keys() | found.arguments.keys()):
        declared, live = queue.arguments.get(name), found.arguments.get(name)
        if declared != live:
            shown = f"{name} {live}" if name in found.arguments else f"no {name}"
            yield f"{shown} where {'none' if name not in queue.arguments else declared} is declared"
    if not found.durable:
        yield "no durability"
