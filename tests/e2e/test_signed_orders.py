"""The whole saga with signatures: what nobody who may say it has signed has no effect, and a person is told."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie import Settings
from choregraphie.client import publish
from contracts.client import CommandeInitiee
from tests.support.operator_commands import command
from tests.support.saga_fixture import SagaFixture, saga_fixture
from tests.support.signing_keys import now, order, signed, signing, with_keys
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.brokers import Broker

END = ("stock.reserve", "paiement.effectue", "commande.creee", "notification.envoyee")


@pytest.fixture(scope="module", params=["lean", "public"])
def saga(
    broker: Broker, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[SagaFixture]:
    folder = tmp_path_factory.mktemp("saga")
    with_keys(folder / "keys")
    more = signing(folder / "keys") | {"monitor_database": str(folder / "monitor.sqlite3")}
    with saga_fixture(broker, folder, lane=request.param, **more) as ready:
        ready.start_all()
        yield ready


def settings(saga: SagaFixture) -> Settings:
    return Settings.model_validate(
        {name: saga.settings[name] for name in ("amqp_url", "lane", *signing(saga.folder))}
    )


def place(saga: SagaFixture) -> str:
    key = saga.new_id()
    said = CommandeInitiee(
        commande_id=key, client_id="CLIENT-123", produit_id="PROD-456", quantite=1, montant=Decimal("9.99")
    )
    asyncio.run(publish(settings(saga), said, source="/clients/test"))
    return key


def letters(saga: SagaFixture, service: str, key: str) -> list[dict[str, Any]]:
    listed = command("dlq", "list", "--service", service, "--json", **saga.settings)
    assert listed.stderr == ""
    return [letter for letter in json.loads(listed.stdout)["letters"] if letter["commande_id"] == key]


def refused(saga: SagaFixture, service: str, key: str) -> dict[str, Any]:
    """The dead letter of that order in that service, for its signature."""
    until(lambda: bool(letters(saga, service, key)), f"a dead letter about {key}")
    (letter,) = letters(saga, service, key)
    assert letter["reason"] == "signature"
    return letter


def test_a_signed_order_goes_its_way_and_every_event_is_signed(saga: SagaFixture) -> None:
    key = place(saga)
    said = saga.await_events(key, *END)
    assert all(message.headers["x-saga-signature"].startswith("ed25519 ") for message in said.values())


def test_an_order_that_is_not_signed_or_by_another_is_a_dead_letter(saga: SagaFixture) -> None:
    unsigned = saga.order()
    assert refused(saga, "stock", unsigned)["detail"] == "it is not signed"
    refused(saga, "commande", unsigned)
    key = saga.new_id()
    forged = signed(order(commande_id=key), settings(saga), "paiement")
    saga.foreign_client.publish(
        forged.exchange,
        forged.routing_key,
        forged.body,
        forged.headers,
        content_type="application/cloudevents+json",
    )
    assert (
        refused(saga, "stock", key)["detail"] == "commande.initiee is said by client, and paiement has signed it"
    )


def test_an_operator_signs_what_it_edits_and_the_service_takes_it(saga: SagaFixture) -> None:
    key = saga.order()
    letter = refused(saga, "stock", key)
    as_it_is = command("dlq", "replay", letter["id"], "--because", "try", **saga.settings)
    assert as_it_is.returncode == 1
    assert "signature: it is not signed" in as_it_is.stdout + as_it_is.stderr
    shown = json.loads(command("dlq", "show", letter["id"], "--json", **saga.settings).stdout)
    body = saga.folder / "edited.json"
    body.write_text(json.dumps(json.loads(shown["body"]) | {"time": now()}))
    edited = command("dlq", "edit", letter["id"], "--file", str(body), "--because", "known", **saga.settings)
    assert (edited.returncode, edited.stderr) == (0, "")
    new_id = edited.stdout.split()[0]
    sent = command("dlq", "replay", new_id, "--because", "known", **saga.settings)
    assert sent.returncode == 0, sent.stdout + sent.stderr
    saga.await_events(key, "stock.reserve")


def test_an_operator_without_a_key_is_told_before_anything_is_done(saga: SagaFixture) -> None:
    without = saga.settings | {"signing_key": f"{saga.folder}/none/{{service}}.pem"}
    done = command("dlq", "edit", "abc", "--because", "x", **without)
    assert done.returncode == 2
    assert "SAGA_SIGNING_KEY: there is no " in done.stderr
    assert "'keys new ops' makes it" in done.stderr
