"""What counts towards the delivery limit, and what a consumer timeout does, on the version of this broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from choregraphie import BrokerUnavailable, Settings
from choregraphie.broker import open_session
from choregraphie.saga.topology import WORK_DELIVERY_LIMIT, events
from services.application import APP

if TYPE_CHECKING:
    from choregraphie.broker.consumer import RabbitSession
    from choregraphie.messaging import Delivery
    from scripts.nemesis.management import Management
    from tests.support.foreign_client import ForeignClient

TIMEOUT_MS = 1000
SEPARATE_COUNTS = (4, 3)  # the first version that counts a nack apart from a reject


async def next_delivery(session: RabbitSession) -> Delivery:
    (delivery,) = await session.deliveries(1)
    return delivery


async def test_deliveries_that_were_never_begun_count_towards_the_limit_up_to_4_2(
    amqp_url: str, management: Management, foreign_client: ForeignClient
) -> None:
    """A worker that stops gives back what it has not begun. Only before 4.3 does that lead to a dead letter."""
    counts = management.broker_version() < SEPARATE_COUNTS
    settings = Settings(amqp_url=amqp_url)
    async with open_session(settings, "stock", APP.topology(settings)) as session:
        await session.consume()
        foreign_client.publish(events("client"), "commande.initiee", b"{}")
        for _ in range(WORK_DELIVERY_LIMIT + 1):
            await session.requeue([(await next_delivery(session)).tag])
        if counts:
            assert foreign_client.get("stock.dlq", within_seconds=90) is not None
        else:
            delivery = await next_delivery(session)
            assert (delivery.redelivered, delivery.headers["x-acquired-count"]) == (True, WORK_DELIVERY_LIMIT + 1)
            assert "x-delivery-count" not in delivery.headers


async def test_a_lost_session_counts_towards_the_limit_on_every_version(
    amqp_url: str, foreign_client: ForeignClient
) -> None:
    settings = Settings(amqp_url=amqp_url)
    topology = APP.topology(settings)
    async with open_session(settings, "stock", topology) as session:
        await session.consume()
        foreign_client.publish(events("client"), "commande.initiee", b"{}")
        await next_delivery(session)
    async with open_session(settings, "stock", topology) as session:
        await session.consume()
        delivery = await next_delivery(session)
        assert (delivery.redelivered, delivery.headers["x-delivery-count"], delivery.returns) == (True, 1, 1)


async def test_a_consumer_timeout_ends_the_session_and_does_not_count_towards_the_limit(
    amqp_url: str, management: Management, foreign_client: ForeignClient
) -> None:
    """From 4.3 on the timeout belongs to the queue, and the broker cancels that consumer within a second."""
    if management.broker_version() < SEPARATE_COUNTS:
        pytest.skip("before 4.3 the timeout belongs to the node, which looks once a minute")
    settings = Settings(amqp_url=amqp_url)
    topology = APP.topology(settings)
    with management.policy(r"stock\.inbox$", **{"consumer-timeout": TIMEOUT_MS}):
        async with open_session(settings, "stock", topology) as session:
            await session.consume()
            foreign_client.publish(events("client"), "commande.initiee", b"{}")
            await next_delivery(session)
            assert "consumer timeout" in await session.until_lost()
            with pytest.raises(BrokerUnavailable):
                await session.deliveries(1)
    async with open_session(settings, "stock", topology) as session:
        await session.consume()
        delivery = await next_delivery(session)
        assert delivery.redelivered
        assert "x-delivery-count" not in delivery.headers
