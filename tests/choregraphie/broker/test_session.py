"""A session on a real broker: what it can publish, and which losses it notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog

from choregraphie import BrokerRefused, BrokerUnavailable, Settings
from choregraphie.broker import open_session
from choregraphie.messaging import Outgoing, Properties, PublishOutcome
from choregraphie.saga.topology import events
from services.application import APP

if TYPE_CHECKING:
    from scripts.nemesis.management import Management
    from tests.support.foreign_client import ForeignClient

LONGEST_ID = "漢" * 100  # as many characters as a key may have, and more bytes than a short string


async def test_an_event_whose_key_is_longer_than_a_short_string_is_published(
    amqp_url: str, foreign_client: ForeignClient
) -> None:
    """The event is in the outbox, so an error here would end every later session too."""
    settings = Settings(amqp_url=amqp_url)
    names = Properties(message_id=LONGEST_ID, correlation_id=LONGEST_ID, type="stock.reserve")
    async with open_session(settings, "stock", APP.topology(settings)) as session:
        event = Outgoing(events("stock"), "stock.reserve", b"{}", names)
        assert await session.publish([event, event]) == [PublishOutcome.CONFIRMED, PublishOutcome.CONFIRMED]
    received = foreign_client.get("paiement.inbox", within_seconds=90)
    assert received is not None
    assert received.properties.correlation_id == "漢" * 85


async def test_the_loss_of_a_queue_that_receives_its_events_is_noticed(
    amqp_url: str, management: Management
) -> None:
    """The history still receives what is published, so the broker confirms it."""
    settings = Settings(amqp_url=amqp_url)
    async with open_session(settings, "stock", APP.topology(settings)) as session:
        await session.consume()
        assert await session.is_consuming()
        management.delete_queue("paiement.inbox")
        with pytest.raises(BrokerUnavailable):
            await session.is_consuming()


async def test_the_broker_s_reason_is_kept_when_a_session_is_lost(
    amqp_url: str, foreign_client: ForeignClient
) -> None:
    settings = Settings(amqp_url=amqp_url)
    async with open_session(settings, "stock", APP.topology(settings)) as session:
        assert session.lost is None
        nowhere = Outgoing("nobody.events", "stock.reserve", b"{}", Properties(message_id="1"))
        assert await session.publish([nowhere]) == [PublishOutcome.UNKNOWN]
        assert "nobody.events" in (session.lost or "")


async def test_a_history_with_other_bounds_keeps_them_and_is_accepted(
    amqp_url: str, management: Management
) -> None:
    made = Settings(amqp_url=amqp_url)
    async with open_session(made, "stock", APP.topology(made)):
        pass
    other = made.model_copy(update={"history_max_age": "1D"})
    with structlog.testing.capture_logs() as logs:
        async with open_session(other, "stock", APP.topology(other)) as session:
            await session.consume()
            assert await session.is_consuming()
    assert [line["event"] for line in logs] == ["history.retention_differs"]
    assert management.queue("saga.history")["arguments"]["x-max-age"] == "7D"


async def test_an_inbox_with_other_arguments_is_refused(amqp_url: str, foreign_client: ForeignClient) -> None:
    settings = Settings(amqp_url=amqp_url)
    foreign_client.declare_queue("stock.inbox")
    with pytest.raises(BrokerRefused, match=r"stock\.inbox"):
        async with open_session(settings, "stock", APP.topology(settings)):
            pass


async def test_what_was_handled_last_is_acknowledged_when_the_session_ends(
    amqp_url: str, foreign_client: ForeignClient
) -> None:
    settings = Settings(amqp_url=amqp_url)
    async with open_session(settings, "stock", APP.topology(settings)) as session:
        foreign_client.publish("client.events", "commande.initiee", b"{}")
        await session.consume()
        (delivery,) = await session.deliveries(10)
        await session.ack([delivery.tag])
    assert foreign_client.get("stock.inbox", within_seconds=2) is None
