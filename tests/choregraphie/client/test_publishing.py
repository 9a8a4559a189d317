"""A script publishes an event at once, with a confirm, on a real broker."""

import pytest

from choregraphie import BrokerUnavailable, Settings
from choregraphie.client import NobodyHears, publish
from contracts.stock import StockLibere
from tests.choregraphie.client.test_say import commande
from tests.support.foreign_client import ForeignClient
from tests.support.topology import declare_topology


async def test_a_confirmed_event_is_on_the_wire_as_its_source_said_it(
    amqp_url: str, foreign_client: ForeignClient
) -> None:
    settings = Settings(amqp_url=amqp_url)
    await declare_topology(settings)
    heard = foreign_client.subscribe("client.events")
    id_ = await publish(settings, commande("CMD-1"), source="/clients/boutique", id="E-1")
    (message,) = heard.until(bool)
    assert id_ == message.json["id"] == message.properties.message_id == "E-1"
    assert (message.json["source"], message.json["subject"]) == ("/clients/boutique", "CMD-1")
    assert (message.properties.app_id, message.properties.delivery_mode) == ("boutique", 2)


async def test_before_any_worker_was_started_nobody_would_hear_it(amqp_url: str) -> None:
    with pytest.raises(NobodyHears, match=r"no exchange client\.events; start the workers first"):
        await publish(Settings(amqp_url=amqp_url), commande("CMD-1"))


async def test_without_a_broker_it_is_not_published() -> None:
    with pytest.raises(BrokerUnavailable):
        await publish(Settings(amqp_url="amqp://127.0.0.1:1/"), commande("CMD-1"))


async def test_an_event_of_another_speaker_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="said by stock"):
        await publish(
            Settings(), StockLibere(commande_id="CMD-1", reservation_id=None), source="/clients/boutique"
        )
