"""The parameters of the broker's URL reach the broker."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from choregraphie import BrokerUnavailable, Settings
from choregraphie.broker import connected
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.nemesis.management import Management
    from tests.support.brokers import Broker


async def test_a_heartbeat_and_a_name_are_used(amqp_url: str, management: Management) -> None:
    async with connected(Settings(amqp_url=f"{amqp_url}?heartbeat=60&name=shop%201"), "asks"):
        until(lambda: bool(management.connections()), "the connection is listed")
        (row,) = management.connections()
        until(lambda: "timeout" in management.connections()[0], "its heartbeat is listed")
        (row,) = management.connections()
        assert (row["user_provided_name"], row["timeout"]) == ("shop 1 asks", 60)


@pytest.mark.parametrize("vhost", ["a/b", "été", "a+b c", "a%b", "..a", "%41"])
async def test_a_virtual_host_of_any_name_can_be_named(broker: Broker, vhost: str) -> None:
    management = broker.management(vhost)
    management.create_vhost()
    try:
        url = f"amqp://{broker.authority}/{quote(vhost, safe='')}"
        async with connected(Settings(amqp_url=url), "asks"):
            until(lambda: bool(management.connections()), "the connection is listed there")
    finally:
        management.delete_vhost()


async def test_a_timeout_bounds_the_wait_for_a_broker_that_does_not_speak(silent_port: int) -> None:
    settings = Settings(amqp_url=f"amqp://u:p@127.0.0.1:{silent_port}/?timeout=1")
    with pytest.raises(BrokerUnavailable):
        async with connected(settings, "asks"):
            pass


@pytest.fixture
def silent_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
