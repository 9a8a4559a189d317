"""A worker restores a binding that was lost, or says at once which one is missing."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.saga_fixture import SPEAKERS
from tests.support.workers import paused, services, until

if TYPE_CHECKING:
    from tests.support.brokers import Broker
    from tests.support.saga_fixture import SagaFixture

LOST = ("stock.events", "paiement.inbox", "stock.reserve")


INBOXES = ("stock.inbox", "commande.inbox")


def initiee_to(inbox: str) -> tuple[str, str, str]:
    return "client.events", inbox, "commande.initiee"


def is_bound(saga: SagaFixture, exchange: str, queue: str, key: str) -> bool:
    rows = saga.management.bindings()
    return (exchange, queue, key) in {(row["source"], row["destination"], row["routing_key"]) for row in rows}


@pytest.mark.parametrize(
    "lost",
    [
        LOST,
        ("client.events", "stock.inbox", "commande.initiee"),
        ("paiement.requeue", "paiement.inbox", "#"),
        ("stock.retry", "stock.retry.100ms", "100ms.#"),
        ("commande.dlx", "commande.dlq", "#"),
        ("client.events", "saga.history", "#"),
        ("notification.events", "saga.history", "#"),
    ],
)
def test_a_worker_restores_a_binding_that_was_lost(running_saga: SagaFixture, lost: tuple[str, str, str]) -> None:
    with contextlib.ExitStack() as idle:
        for worker in running_saga.workers.values():
            idle.enter_context(paused(worker))  # the binding would be there again before it is looked for
        running_saga.management.unbind(*lost)
        assert not is_bound(running_saga, *lost)
    until(lambda: is_bound(running_saga, *lost), f"{lost} is bound again")
    running_saga.await_events(running_saga.order(), "commande.creee", "notification.envoyee")


def test_with_the_management_a_worker_logs_what_was_missing_and_what_to_do(
    stopped_saga: SagaFixture, broker: Broker
) -> None:
    saga = stopped_saga
    saga.settings["management_url"] = broker.management_login_url
    saga.start_all("paiement")
    # The binding is stock's as well as paiement's: the worker that looks first restores it.
    workers = {*saga.workers.values()}

    def logged(event: str) -> list[dict[str, Any]]:
        return [line for worker in workers for line in worker.logged(event)]

    # A worker that starts while another one declares the topology names what is not there yet.
    at_start = logged("binding.missing")
    saga.management.unbind(*LOST)
    until(lambda: bool(logged("binding.restored")), "a worker says that it restored it")
    for restored in logged("binding.restored"):
        assert (restored["exchange"], restored["queue"], restored["key"]) == LOST
        assert "outbox resend --service stock --since 20" in restored["lost"]
    missing = [line for line in logged("binding.missing") if line not in at_start]
    assert {(line["exchange"], line["queue"], line["key"]) for line in missing} == {LOST}
    saga.await_events(saga.order(), "commande.creee", "notification.envoyee")
    until(lambda: services("ready", "all", **saga.settings).returncode == 0, "all are ready")


def test_a_worker_logs_at_its_start_which_binding_was_lost_before(
    stopped_saga: SagaFixture, broker: Broker
) -> None:
    saga = stopped_saga
    saga.settings["management_url"] = broker.management_login_url
    paiement = saga.start("paiement")
    paiement.await_ready()
    assert paiement.logged("binding.missing") == []
    assert paiement.end() == 0
    saga.management.unbind(*LOST)
    again = saga.start("paiement")
    again.await_ready(times=2)
    (missing,) = again.logged("binding.missing")
    assert (missing["exchange"], missing["queue"], missing["key"]) == LOST


def test_a_passive_worker_logs_a_lost_binding_and_ready_names_it(
    stopped_saga: SagaFixture, broker: Broker
) -> None:
    saga = stopped_saga
    saga.settings["management_url"] = broker.management_login_url
    maker = saga.start("notification")
    maker.await_ready()
    assert maker.end() == 0
    paiement = saga.start("paiement", topology="passive")
    paiement.await_ready()
    assert services("ready", "paiement", **saga.settings).returncode == 0
    saga.management.unbind(*LOST)
    until(lambda: bool(paiement.logged("binding.missing")), "the worker says what is missing")
    done = services("ready", "paiement", **saga.settings)
    assert done.returncode == 1
    assert "bindings are missing: stock.events to paiement.inbox by stock.reserve" in done.stderr
    assert not is_bound(saga, *LOST)
    assert paiement.exit_code is None


def test_ready_says_what_is_wrong_with_the_management(running_saga: SagaFixture, broker: Broker) -> None:
    login, _, place = broker.management_login_url.rpartition("@")
    wrong = services("ready", "stock", **running_saga.settings, management_url=f"{login}x@{place}")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "SAGA_MANAGEMENT_URL: HTTP 401" in wrong.stderr
    away = services("ready", "stock", **running_saga.settings, management_url="http://u:p@127.0.0.1:9")
    assert (away.returncode, away.stderr.count("\n")) == (1, 1)
    assert (
        "its bindings are not known: SAGA_MANAGEMENT_URL, 127.0.0.1:9: the management does not answer"
        in away.stderr
    )


def test_a_deleted_exchange_is_declared_again_by_its_consumer(stopped_saga: SagaFixture) -> None:
    """No worker that consumes from the exchange publishes to it, so only the bindings show that it is gone."""
    saga = stopped_saga
    saga.start_all("stock")
    saga.management.delete_exchange("client.events")
    # The worker that notices it first declares the exchange again; the other may find no more than a lost binding.
    until(lambda: all(is_bound(saga, *initiee_to(inbox)) for inbox in INBOXES), "it is bound to both")
    saga.subscription = saga.foreign_client.subscribe(
        *(f"{outbox_publisher}.events" for outbox_publisher in SPEAKERS)
    )
    saga.await_events(saga.order(), "commande.creee")
