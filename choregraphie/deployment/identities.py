"""Who connects to the broker, and the least rights of each, from the choreographies and their topology. Pure.

RabbitMQ compares regular expressions with the names of exchanges and queues. The rights come from
https://www.rabbitmq.com/docs/access-control; tests make every identity on a live broker.

The right to write to a *queue* is half of the right to bind it; the other half is the right to read an exchange,
which the deployer alone has. It moves no message. From 4.2.7 and 4.3.1 on, RabbitMQ tells only a user with some
right on a queue or exchange whether it exists (rabbitmq-server#16272), so this is the right with which a worker
sees the queues that it publishes to, and with which messages and consumers are counted.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from choregraphie.errors import BadApplication
from choregraphie.saga.choreography import EventClass
from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import (
    HISTORY,
    Queue,
    Topology,
    dlq,
    dlx,
    events,
    exchange_of,
    inbox,
    requeue,
    retry,
)

CLIENT, MONITOR, OPS, DEPLOYER = "client", "monitor", "ops", "deployer"
NOTHING = "^$"


@dataclass(frozen=True)
class TopicRight:
    """The routing keys with which a user may publish to a topic exchange."""

    exchange: str
    write: str


@dataclass(frozen=True)
class Identity:
    """A user of the broker. `configure`, `write` and `read` are regular expressions of RabbitMQ.

    `tags`: what the user may ask of the management.
    """

    name: str
    purpose: str
    configure: str = NOTHING
    write: str = NOTHING
    read: str = NOTHING
    topics: tuple[TopicRight, ...] = ()
    tags: tuple[str, ...] = ()


def identities(sagas: SagaSet, wanted: Topology) -> tuple[Identity, ...]:
    """One identity for each service, then client, monitor, ops and deployer.

    Raises BadApplication when a service has the name of one of those.
    """
    if taken := [name for name in sagas.services if name in {CLIENT, MONITOR, OPS, DEPLOYER}]:
        raise BadApplication(f"the service {taken[0]} has the name of another user of the broker; rename it")
    return (
        *(_service(name, sagas, wanted) for name in sagas.services),
        _client(sagas, wanted),
        _monitor(wanted),
        _ops(sagas, wanted),
        _deployer(wanted),
    )


def _service(name: str, sagas: SagaSet, wanted: Topology) -> Identity:
    own = [*wanted.published_by(name), retry(name), dlx(name)]
    return Identity(
        name,
        "hears its inbox, says its events",
        write=exactly([*own, *_queues_behind(own, wanted, but=inbox(name))]),
        read=exactly([inbox(name)]),
        topics=tuple(_topics(name, sagas, wanted)),
        tags=("management",),  # its worker asks for the bindings that it depends on
    )


def _topics(name: str, sagas: SagaSet, wanted: Topology) -> Iterator[TopicRight]:
    said = _said(name, sagas)
    for exchange in wanted.published_by(name):
        yield TopicRight(exchange, exactly(sorted({one.TYPE for one in said if exchange_of(one) == exchange})))


def _client(sagas: SagaSet, wanted: Topology) -> Identity:
    own = [events(CLIENT)]
    behind = [name for name in _queues_behind(own, wanted) if name in _counted(wanted)]
    return Identity(
        CLIENT,
        "begins sagas, asks for cancellations",
        write=exactly([*own, *behind]),
        topics=(TopicRight(events(CLIENT), exactly(_types_said(CLIENT, sagas))),),
    )


def _monitor(wanted: Topology) -> Identity:
    return Identity(
        MONITOR,
        "reads the history, counts the queues",
        write=exactly(_counted(wanted)),
        read=exactly([HISTORY]),
        tags=("management",),
    )


def _ops(sagas: SagaSet, wanted: Topology) -> Identity:
    owners = {*sagas.speakers, *sagas.services}
    # Of nobody else: an exchange of the operators themselves, where they note what they do.
    shared = [one.name for one in wanted.exchanges if one.name.rpartition(".")[0] not in owners]
    per_service = [name(service) for service in sagas.services for name in (events, requeue, dlx)]
    streams = [queue.name for queue in wanted.queues if _is_stream(queue)]
    return Identity(
        OPS,
        "treats dead letters, settles steps",
        write=exactly([*per_service, *shared, *_counted(wanted)]),
        read=exactly([*(dlq(service) for service in sagas.services), *streams]),
        topics=tuple(
            TopicRight(events(service), exactly(_types_settled(service, sagas))) for service in sagas.services
        ),
        tags=("monitoring",),  # `doctor` asks for alarms and nodes
    )


def _deployer(wanted: Topology) -> Identity:
    exchanges = [exchange.name for exchange in wanted.exchanges]
    queues = [queue.name for queue in wanted.queues]
    # Who declares a queue with a dead-letter exchange needs the right to read it and to write to that exchange.
    dead = {queue.name: queue.arguments.get("x-dead-letter-exchange") for queue in wanted.queues}
    targets = [target for target in dead.values() if target]
    return Identity(
        DEPLOYER,
        "declares exchanges, queues and bindings",
        configure=exactly([*exchanges, *queues]),
        write=exactly([*queues, *targets]),
        read=exactly([*exchanges, *(name for name, target in dead.items() if target)]),
        tags=("management",),
    )


def _queues_behind(exchanges: Sequence[str], wanted: Topology, but: str = "") -> list[str]:
    """The queues that receive what is published to `exchanges`."""
    bound = dict.fromkeys(one.queue for one in wanted.bindings if one.exchange in exchanges)
    return [name for name in bound if name != but]


def _counted(wanted: Topology) -> list[str]:
    # Without streams: with the stream plugin, which nothing here needs, a writer of one could forge entries.
    return [queue.name for queue in wanted.queues if not _is_stream(queue)]


def _is_stream(queue: Queue) -> bool:
    return bool(queue.arguments.get("x-queue-type") == "stream")


def _said(speaker: str, sagas: SagaSet) -> list[EventClass]:
    said = (event for saga in sagas for event in (*saga.events, *saga.said, *saga.refusals))
    return [event for event in said if speaker == event.SAID_BY]


def _types_said(speaker: str, sagas: SagaSet) -> list[str]:
    return sorted({event.TYPE for event in _said(speaker, sagas)})


def _types_settled(service: str, sagas: SagaSet) -> list[str]:
    """The answers that a person may give in place of `service`: a step is done, or undone. Never a decision."""
    answers = {
        answer.TYPE
        for saga in sagas
        for step in saga.steps
        for answer in (step.success, step.undone)
        if step.service == service and answer is not None and answer not in {saga.created, saga.cancelled}
    }
    return sorted(answers)


def exactly(names: Iterable[str]) -> str:
    """The regular expression that matches each of `names` and nothing else; of none, nothing at all."""
    escaped = [re.escape(name) for name in dict.fromkeys(names)]
    return f"^({'|'.join(escaped)})$" if escaped else NOTHING
