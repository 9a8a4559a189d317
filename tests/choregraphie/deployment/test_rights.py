"""Each user that `topology users` makes can do its part on a live broker, and nothing else."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, Any

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from contracts.choreography import CHOREOGRAPHY
from tests.choregraphie.deployment.conftest import command, operator_of, parts_of, users_begin
from tests.support.foreign_client import ForeignClient
from tests.support.saga_fixture import SERVICES
from tests.support.workers import services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.choregraphie.deployment.conftest import Operator, Parts
    from tests.support.brokers import Broker

USERS = (*SERVICES, "client", "monitor", "ops", "deployer")
NOTHING: frozenset[str] = frozenset()
# What each may publish to and take from, written by hand: the rights are computed.
PUBLISHES: dict[str, frozenset[str]] = {
    **{name: frozenset({f"{name}.events", f"{name}.retry", f"{name}.dlx"}) for name in SERVICES},
    "client": frozenset({"client.events"}),
    "monitor": NOTHING,
    "ops": frozenset(f"{name}.{kind}" for name in SERVICES for kind in ("requeue", "dlx"))
    | {"stock.events", "paiement.events", "notification.events", "saga.operators"},
    # Whoever declares a queue with a dead-letter exchange needs the right to write there, and to read the queue.
    "deployer": frozenset(f"{name}.{kind}" for name in SERVICES for kind in ("requeue", "dlx")),
}
CONSUMES: dict[str, frozenset[str]] = {
    **{name: frozenset({f"{name}.inbox"}) for name in SERVICES},
    "client": NOTHING,
    "monitor": frozenset({"saga.history"}),
    "ops": frozenset({"saga.history", "saga.audit", *(f"{name}.dlq" for name in SERVICES)}),
    "deployer": frozenset(f"{name}.{kind}" for name in SERVICES for kind in ("inbox", "retry.1", "retry.5")),
}
# A routing key that is allowed on the exchange of each speaker.
SAYS = {
    "stock.events": "stock.reserve",
    "paiement.events": "paiement.effectue",
    "commande.events": "commande.creee",
    "notification.events": "notification.envoyee",
    "client.events": "commande.initiee",
}


class Attempts:
    """What one user tries. Each attempt has a channel of its own, which a refusal closes."""

    def __init__(self, url: str) -> None:
        parameters = pika.URLParameters(url)
        parameters.heartbeat = 0
        self._connection = pika.BlockingConnection(parameters)

    def refused(self, attempt: Callable[[Any], object]) -> bool:
        """Whether the broker refuses the attempt for want of a right. Another refusal fails the test."""
        channel = self._connection.channel()
        channel.confirm_delivery()
        try:
            attempt(channel)
        except ChannelClosedByBroker as closed:
            assert closed.reply_code == 403, closed
            return True
        channel.close()
        return False

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def shared(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Operator, Parts]]:
    """One virtual host and its users for the attempts that change nothing in it."""
    management = broker.management(f"test-{uuid.uuid4().hex[:12]}")
    management.create_vhost()
    try:
        with users_begin(management) as prefix:
            operator = operator_of(broker, management)
            assert operator.topology("apply").code == 0
            yield operator, parts_of(operator, tmp_path_factory.mktemp("users") / "files", prefix)
    finally:
        management.delete_vhost()


@contextlib.contextmanager
def attempts(parts: Parts, name: str) -> Iterator[Attempts]:
    made = Attempts(parts.url(name))
    try:
        yield made
    finally:
        made.close()


def publishing(exchange: str, key: str | None = None, **headers: list[str]) -> Callable[[Any], object]:
    wanted = pika.BasicProperties(headers=headers)
    return lambda channel: channel.basic_publish(exchange, key or SAYS.get(exchange, "any"), b"{}", wanted)


def consuming(queue: str) -> Callable[[Any], object]:
    def attempt(channel: Any) -> None:
        channel.basic_qos(prefetch_count=1)
        channel.basic_cancel(channel.basic_consume(queue, lambda *_: None))

    return attempt


def purging(queue: str) -> Callable[[Any], object]:
    return lambda channel: channel.queue_purge(queue)


@pytest.mark.parametrize("name", USERS)
def test_a_user_publishes_to_its_own_exchanges_alone(shared: tuple[Operator, Parts], name: str) -> None:
    operator, parts = shared
    names = [row["name"] for row in operator.management.exchanges()]
    with attempts(parts, name) as mine:
        allowed = {exchange for exchange in names if not mine.refused(publishing(exchange))}
        assert allowed == (PUBLISHES[name] & {*names})
        for exchange in ("", "amq.topic", "amq.direct", "amq.fanout"):
            assert mine.refused(publishing(exchange, "stock.inbox")), exchange


@pytest.mark.parametrize("name", USERS)
def test_a_user_takes_from_its_own_queues_alone(shared: tuple[Operator, Parts], name: str) -> None:
    operator, parts = shared
    names = [row["name"] for row in operator.management.queues()]
    with attempts(parts, name) as mine:
        assert {queue for queue in names if not mine.refused(consuming(queue))} == CONSUMES[name] & {*names}
        others = [queue for queue in names if queue not in CONSUMES[name]]
        assert [queue for queue in others if not mine.refused(purging(queue))] == []


@pytest.mark.parametrize("name", [*SERVICES, "client", "monitor", "ops"])
def test_only_the_deployer_changes_the_topology(shared: tuple[Operator, Parts], name: str) -> None:
    with attempts(shared[1], name) as mine:
        assert [mine.refused(change) for change in (*CHANGES, *NEVER)] == [True] * len((*CHANGES, *NEVER))


def test_the_deployer_changes_the_declared_topology_and_nothing_beside_it(
    operator: Operator, parts: Parts
) -> None:
    with attempts(parts, "deployer") as mine:
        assert [mine.refused(change) for change in CHANGES] == [False] * len(CHANGES)
        assert [mine.refused(change) for change in NEVER] == [True] * len(NEVER)
    assert "another.queue" not in {row["name"] for row in operator.management.queues()}


CHANGES: tuple[Callable[[Any], object], ...] = (
    lambda c: c.queue_bind("paiement.inbox", "client.events", "extra"),
    lambda c: c.queue_unbind("paiement.inbox", "client.events", "extra"),
    lambda c: c.exchange_delete("stock.dlx"),
    lambda c: c.exchange_declare("stock.dlx", "topic", durable=True),
    lambda c: c.queue_bind("stock.dlq", "stock.dlx", "#"),
    lambda c: c.queue_delete("stock.retry.1"),
)
NEVER: tuple[Callable[[Any], object], ...] = (
    lambda c: c.queue_declare("another.queue", durable=True),
    lambda c: c.queue_declare("", exclusive=True),
    lambda c: c.exchange_declare("another.exchange", "topic", durable=True),
    lambda c: c.exchange_bind("stock.events", "client.events", "#"),
)


@pytest.mark.parametrize("name", [*SERVICES, "client"])
def test_a_speaker_says_its_own_events_alone_also_by_extra_routing_keys(
    shared: tuple[Operator, Parts], name: str
) -> None:
    """`CC` and `BCC` bypass topic permissions on RabbitMQ 3; the exchange then keeps them from other inboxes."""
    operator, parts = shared
    exchange = f"{name}.events"
    foreign = sorted(key for other, key in SAYS.items() if other != exchange)
    own = {row["destination"] for row in operator.management.bindings() if row["source"] == exchange}
    with attempts(parts, name) as mine, ForeignClient(operator.settings["amqp_url"]) as client:
        for key in (*foreign, "any.thing", "#"):
            assert mine.refused(publishing(exchange, key)), key
        before = {other: client.count(f"{other}.inbox") for other in SERVICES}
        for header in ("CC", "BCC"):
            mine.refused(publishing(exchange, SAYS[exchange], **{header: foreign}))
        reached = {f"{other}.inbox" for other in SERVICES if client.count(f"{other}.inbox") > before[other]}
    assert reached <= own


def test_ops_may_say_that_a_step_is_done_or_undone_and_never_a_decision(shared: tuple[Operator, Parts]) -> None:
    types = {event.TYPE: event.SAID_BY for event in CHOREOGRAPHY.events}
    with attempts(shared[1], "ops") as mine:
        allowed = {
            type_ for type_, speaker in types.items() if not mine.refused(publishing(f"{speaker}.events", type_))
        }
    assert allowed == {
        "stock.reserve",
        "stock.libere",
        "paiement.effectue",
        "paiement.rembourse",
        "notification.envoyee",
    }


def test_a_user_of_one_virtual_host_is_let_into_no_other(shared: tuple[Operator, Parts]) -> None:
    url = shared[1].url("stock").rpartition("/")[0] + "/%2F"
    with pytest.raises(pika.exceptions.ProbableAccessDeniedError):
        Attempts(url)


def test_the_deployer_applies_and_checks_the_topology_of_an_empty_virtual_host(
    operator: Operator, parts: Parts
) -> None:
    for row in operator.management.queues():
        operator.management.delete_queue(row["name"])
    for row in operator.management.exchanges():
        operator.management.delete_exchange(row["name"])
    settings = parts.settings("deployer")
    assert command("topology", "apply", **settings).code == 0
    done = command("topology", "check", "--without-workers", **settings)
    assert (done.code, done.err) == (0, "")


def test_a_worker_without_the_right_to_configure_that_should_declare_says_so_in_one_line(
    shared: tuple[Operator, Parts],
) -> None:
    done = services("run", "stock", **shared[1].settings("stock") | {"topology": "apply"})
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "ACCESS_REFUSED" in done.stderr
