"""The bare AMQP connection of the benchmarks: its frames are those of the library, its confirms are counted."""

from __future__ import annotations

import json

import pytest
from pamqp import commands, frame

from contracts.registry import open_envelope
from scripts.benchmarks.system.amqp import Confirmed, Confirms, FixedRoute, Route
from scripts.benchmarks.system.load import CLIENTS, PRODUCTS, bodies


def properties() -> commands.Basic.Properties:
    return commands.Basic.Properties(content_type="application/json", delivery_mode=2, message_id="an-id")


@pytest.mark.parametrize("body", [b"x", b"y" * 300, b"z" * 70_000])
def test_a_fixed_route_writes_the_frames_that_the_library_writes(body: bytes) -> None:
    fixed = FixedRoute("client.events", "commande.initiee", properties()).frames(body)
    assert fixed == Route("client.events", "commande.initiee", properties()).frames(body, "an-id")
    read = []
    while fixed:
        used, channel, one = frame.unmarshal(fixed)
        assert channel == 1
        read.append(one)
        fixed = fixed[used:]
    method, head, content = read
    assert isinstance(method, commands.Basic.Publish)
    assert (method.exchange, method.routing_key, method.mandatory) == ("client.events", "commande.initiee", True)
    assert (head.body_size, head.properties.delivery_mode, content.value) == (len(body), 2, body)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("confirms", "low"),
    [
        ([], 1),
        ([Confirmed(1, False), Confirmed(2, False)], 3),
        ([Confirmed(3, False), Confirmed(1, False)], 2),
        ([Confirmed(3, False), Confirmed(2, True)], 4),
        ([Confirmed(4, True), Confirmed(2, True)], 5),
    ],
)
def test_messages_below_the_lowest_unconfirmed_one_are_confirmed(confirms: list[Confirmed], low: int) -> None:
    known = Confirms()
    for confirm in confirms:
        known.take(confirm)
    assert known.low == low


def test_each_order_is_valid_and_has_ids_of_its_own() -> None:
    orders = [body for _, body in zip(range(2000), (body for _, body in bodies()), strict=False)]
    read = [open_envelope(body) for body in orders]
    assert len({envelope.id for envelope in read}) == len({envelope.key for envelope in read}) == 2000
    assert {envelope.sender for envelope in read} == {"client"}
    assert len({json.loads(body)["data"]["produit_id"] for body in orders}) == PRODUCTS
    assert len({json.loads(body)["data"]["client_id"] for body in orders}) == CLIENTS
