"""Foreign clients and services that send CloudEvents in binary mode: attributes as headers, the data as body."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie.saga.topology import WORK_DELIVERY_LIMIT
from tests.e2e.test_bad_messages import END, take_dead_letter
from tests.e2e.test_monitor_rights import monitor

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.foreign_client import ReceivedMessage
    from tests.support.saga_fixture import SagaFixture

TYPE = "commande.initiee"


def attributes(
    prefix: str, id_: str, type_: str = TYPE, source: str = "/clients/dehors", **more: Any
) -> dict[str, Any]:
    usual = {"specversion": "1.0", "id": id_, "type": type_, "source": source}
    return {f"{prefix}{name}": value for name, value in (usual | more).items()}


def order_data(commande_id: str) -> dict[str, Any]:
    return {
        "commande_id": commande_id,
        "client_id": "CLIENT-123",
        "produit_id": "PROD-456",
        "quantite": 2,
        "montant": 99.99,
    }


def publish(saga: SagaFixture, headers: dict[str, Any], data: dict[str, Any] | bytes) -> None:
    assert saga.foreign_client.publish("client.events", TYPE, data, headers, content_type="application/json")


def monitored(saga: SagaFixture, folder: Path, *arguments: str) -> str:
    """What a monitor that reads the whole history prints."""
    done = monitor(*arguments, amqp_url=saga.url, monitor_database=folder / "monitor.sqlite3")
    assert done.returncode in {0, 1}, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("prefix", ["cloudEvents:", "cloudEvents_", "ce-", "ce_", "Ce-"])
def test_an_order_in_binary_mode_is_carried_out_and_the_monitor_shows_it(
    running_saga: SagaFixture, tmp_path: Path, prefix: str
) -> None:
    order, time = running_saga.new_id(), dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    headers = attributes(prefix, f"id-{order}", subject=order, time=time, sequence=7)
    publish(running_saga, headers, order_data(order))
    published = running_saga.await_events(order, *END)
    assert published["stock.reserve"].json["causationid"] == f"id-{order}"

    shown = json.loads(monitored(running_saga, tmp_path, "show", order, "--json"))
    assert shown["state"] == "COMPLETED"
    lines = monitored(running_saga, tmp_path, "history", "--commande", order, "--json").splitlines()
    said = next(one for one in map(json.loads, lines) if one["event"]["type"] == TYPE)
    assert said["content_mode"] == "binary"
    assert said["event"]["data"] == order_data(order)
    assert (said["event"]["id"], said["event"]["subject"]) == (f"id-{order}", order)
    assert (said["event"]["time"], said["event"]["sequence"]) == ("2026-01-01T12:00:00Z", 7)
    assert said["event"]["datacontenttype"] == "application/json"


def test_a_repeated_order_has_no_effect_and_the_same_id_with_another_body_is_a_collision(
    running_saga: SagaFixture,
) -> None:
    order = running_saga.new_id()
    for prefix in ("cloudEvents:", "ce-"):
        publish(running_saga, attributes(prefix, f"id-{order}"), order_data(order))
    running_saga.await_events(order, *END)
    publish(running_saga, attributes("ce_", f"id-{order}"), order_data(order) | {"quantite": 3})
    for service in ("stock", "commande"):
        dead_letter = take_dead_letter(running_saga, f"{service}.dlq")
        assert dead_letter.headers["x-saga-reason"] == "id_collision"
        assert running_saga.foreign_client.get(f"{service}.dlq") is None


def test_two_orders_whose_bodies_are_equal_are_two_events(running_saga: SagaFixture, tmp_path: Path) -> None:
    """The second is the same order under another id: it has no effect, and is no collision."""
    order = running_saga.new_id()
    for number in "12":
        publish(running_saga, attributes("ce-", f"{number}-{order}"), order_data(order))
    running_saga.await_events(order, *END)
    lines = monitored(
        running_saga, tmp_path, "history", "--commande", order, "--type", TYPE, "--json"
    ).splitlines()
    assert {json.loads(line)["event"]["id"] for line in lines} == {f"1-{order}", f"2-{order}"}
    assert running_saga.foreign_client.count("stock.dlq") == 0


BAD_HEADERS = {
    "no id": (attributes("cloudEvents:", "x") | {"cloudEvents:id": None}, "invalid", "id is missing"),
    "unknown specversion": (attributes("ce-", "x", specversion="2.0"), "invalid", "specversion must be '1.0'"),
    "a number as id": (attributes("ce-", "x", id=7), "invalid", "id must be a text"),
    "bytes as id": (attributes("ce-", "x", id=b"\xff\xfe"), "invalid", "id must be a text"),
    "a table as id": (attributes("ce-", "x", id={"a": [1]}), "invalid", "id must be a text"),
    "a long id": (attributes("ce-", "x" * 101), "invalid", "id must have at most 100 characters"),
    "control characters": (attributes("ce-", "a\x1b[2J"), "invalid", "id holds a character"),
    "contradiction": (attributes("ce-", "x") | {"ce_id": "y"}, "invalid", "id has different values"),
    "many attributes": (
        attributes("ce-", "x") | {f"ce-n{number}": "y" * 1000 for number in range(120)},
        "too_large",
        "12",
    ),
}


@pytest.mark.parametrize(("headers", "reason", "detail"), BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_bad_attributes_make_a_dead_letter_that_keeps_them(
    running_saga: SagaFixture, tmp_path: Path, headers: dict[str, Any], reason: str, detail: str
) -> None:
    body = json.dumps(order_data("BAD-BINARY")).encode()
    publish(running_saga, headers, body)
    for service in ("stock", "commande"):
        dead_letter = take_dead_letter(running_saga, f"{service}.dlq")
        assert (dead_letter.body, dead_letter.headers["x-saga-reason"]) == (body, reason)
        assert dead_letter.headers["x-saga-detail"].startswith(detail)
        assert dead_letter.properties.content_type == "application/json"
        kept = {name for name in dead_letter.headers if name.lower().startswith(("ce", "cloud"))}
        assert kept <= set(headers)
        assert reason == "too_large" or kept == {name for name, value in headers.items() if value is not None}
    history = monitored(running_saga, tmp_path, "history", "--all", "--json").splitlines()
    assert any(json.loads(line).get("detail", "").startswith(detail) for line in history)
    # The worker goes on.
    running_saga.await_events(running_saga.order(), *END)


def redrive(saga: SagaFixture, dead_letter: ReceivedMessage) -> None:
    """Publish a dead letter again with its headers and without its properties, as a careless operator does."""
    assert saga.foreign_client.publish("paiement.requeue", dead_letter.key, dead_letter.body, dead_letter.headers)


def held_by_a_foreign_stock(saga: SagaFixture, headers: dict[str, Any]) -> tuple[str, ReceivedMessage]:
    """An order whose goods a foreign service holds, and that answer, which the broker has set aside."""
    saga.start("commande", "notification").await_ready()
    declared = saga.start("paiement")
    declared.await_ready()
    assert declared.end() == 0
    saga.subscription = saga.foreign_client.subscribe("paiement.events", "commande.events")
    order = saga.order()
    held = order_data(order) | {"reservation_id": "R-1"}
    kept = {"content_type": "application/json"}
    assert saga.foreign_client.publish("stock.events", "stock.reserve", held, headers, **kept)
    saga.foreign_client.refuse("paiement.inbox", WORK_DELIVERY_LIMIT + 1)
    return order, take_dead_letter(saga, "paiement.dlq")


def test_a_binary_message_survives_the_broker_retries_and_redriving(
    stopped_saga: SagaFixture, tmp_path: Path
) -> None:
    saga = stopped_saga
    head = attributes("cloudEvents_", "held-1", "stock.reserve", "/services/stock", sequence=7)
    order, by_the_broker = held_by_a_foreign_stock(saga, head)
    broken = saga.start("paiement", gateway_failure_rate=1)
    broken.await_ready()
    redrive(saga, by_the_broker)
    refusal = saga.await_events(order, "paiement.echoue", "commande.annulee")["paiement.echoue"].json
    assert (refusal["data"]["raison"], refusal["causationid"]) == ("abandon après 3 essais", "held-1")
    letters = [take_dead_letter(saga, "paiement.dlq") for _ in "12"]
    (exhausted,) = (letter for letter in letters if letter.key == "stock.reserve")
    assert (exhausted.body, exhausted.headers["x-saga-reason"]) == (by_the_broker.body, "exhausted")
    assert head.items() <= exhausted.headers.items()
    assert broken.end() == 0

    # The order has ended: its dead letter has no effect any more, and is no collision.
    saga.start("paiement").await_ready()
    for letter in (exhausted, *letters):
        redrive(saga, letter)
    saga.await_events(order, "paiement.rembourse")
    assert saga.foreign_client.count("paiement.dlq") == 0
    lines = monitored(saga, tmp_path, "history", "--all", "--commande", order, "--json").splitlines()
    kinds = [line["kind"] for line in map(json.loads, lines) if line["event"].get("id") == "held-1"]
    assert (kinds.count("retried"), kinds.count("dead_letter")) == (2, 2)


def test_a_binary_message_that_is_sent_back_is_carried_out(stopped_saga: SagaFixture) -> None:
    headers = attributes("ce-", "held-1", "stock.reserve", "/services/stock")
    order, by_the_broker = held_by_a_foreign_stock(stopped_saga, headers)
    stopped_saga.start("paiement").await_ready()
    redrive(stopped_saga, by_the_broker)
    published = stopped_saga.await_events(order, "paiement.effectue", "commande.creee")
    assert published["paiement.effectue"].json["causationid"] == "held-1"
