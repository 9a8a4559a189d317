"""The fixtures of the broker tests work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pika.exceptions
import pytest

from tests.support.brokers import NoBrokerError, session_broker
from tests.support.foreign_client import ForeignClient

if TYPE_CHECKING:
    from scripts.nemesis.management import Management
    from tests.support.brokers import Broker


def test_the_broker_is_one_of_the_versions_we_promise(management: Management) -> None:
    assert (3, 10) <= management.broker_version() < (5,)


def test_a_test_finds_its_virtual_host_empty(management: Management) -> None:
    assert management.queues() == management.exchanges() == management.bindings() == []


def test_two_virtual_hosts_do_not_see_each_other(
    broker: Broker, management: Management, foreign_client: ForeignClient
) -> None:
    foreign_client.declare_queue("here")
    other = broker.management(f"{management.vhost}-other")
    other.create_vhost()
    try:
        with (
            ForeignClient(broker.url(other.vhost)) as stranger,
            pytest.raises(pika.exceptions.ChannelClosedByBroker),
        ):
            stranger.count("here")
    finally:
        other.delete_vhost()


def test_an_unroutable_message_is_returned_and_a_routable_one_counted(foreign_client: ForeignClient) -> None:
    foreign_client.declare_exchange("x.events")
    assert not foreign_client.publish("x.events", "nobody.hears", b"{}")
    foreign_client.declare_queue("x.inbox", **{"x-delivery-limit": 20})
    foreign_client.bind("x.inbox", "x.events", "somebody.hears")
    assert foreign_client.publish("x.events", "somebody.hears", {"a": 1}, message_id="m1")
    assert foreign_client.count("x.inbox") == 1
    got = foreign_client.get("x.inbox", within_seconds=90)
    assert got is not None
    assert (got.json, got.properties.message_id, got.headers.get("x-delivery-count", 0)) == (
        {"a": 1},
        "m1",
        0,
    )


def test_a_listener_receives_everything_in_order(foreign_client: ForeignClient) -> None:
    foreign_client.declare_exchange("x.events")
    listener = foreign_client.subscribe("x.events")
    for number in range(5):
        assert foreign_client.publish("x.events", f"n{number}", b"")
    assert [message.key for message in listener.count(5)] == ["n0", "n1", "n2", "n3", "n4"]


def test_a_stream_is_read_from_its_beginning_and_again(foreign_client: ForeignClient) -> None:
    foreign_client.declare_exchange("x.events")
    foreign_client.declare_queue("x.history", **{"x-queue-type": "stream"})
    foreign_client.bind("x.history", "x.events", "#")
    assert all(foreign_client.publish("x.events", key, b"") for key in ("a", "b"))
    for _ in range(2):
        assert [entry.key for entry in foreign_client.read_stream("x.history", 2)] == ["a", "b"]


def test_an_operator_can_cut_connections_and_take_rights_away(
    broker: Broker, management: Management, amqp_url: str, foreign_client: ForeignClient
) -> None:
    foreign_client.declare_exchange("x.events")
    with management.identity() as login:
        authority = f"{login}@{broker.authority.rpartition('@')[2]}"
        powerless = ForeignClient(f"amqp://{authority}/{management.vhost}")
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"):
            powerless.publish("x.events", "k", b"")
        assert management.close_connections(at_least=2) == 2
        with pytest.raises(pika.exceptions.AMQPConnectionError):
            powerless.subscribe("x.events")
    ForeignClient(amqp_url).close()


def test_no_broker_is_one_clear_sentence() -> None:
    nowhere = {"SAGA_TEST_BROKER": "container", "SAGA_TEST_AMQP_URL": ""}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
        with pytest.raises(NoBrokerError, match="no Docker engine answers"), session_broker(nowhere):
            pass
