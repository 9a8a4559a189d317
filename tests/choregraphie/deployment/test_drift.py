"""`topology check` finds every way in which a live broker can differ from the declarations, with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.foreign_client import ForeignClient
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.choregraphie.deployment.conftest import Operator

WITHOUT_WORKERS = {("no_consumer", f"{name}.inbox") for name in ("stock", "paiement", "commande", "notification")}


def test_an_applied_topology_differs_in_nothing(operator: Operator) -> None:
    done = operator.topology("check", "--without-workers")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("nothing differs: ")


def test_an_inbox_without_a_worker_is_a_difference_once_workers_should_run(operator: Operator) -> None:
    assert operator.differences() == WITHOUT_WORKERS
    assert "'python -m services run stock'" in operator.topology("check").out


def test_of_an_empty_broker_every_exchange_and_queue_is_named_once(empty: Operator) -> None:
    found = empty.differences()
    assert {kind for kind, _ in found} == {"exchange_missing", "queue_missing"}
    assert {("exchange_missing", "client.events"), ("queue_missing", "saga.history")} <= found


def delete_exchange(operator: Operator) -> None:
    operator.management.delete_exchange("stock.dlx")


def delete_queue(operator: Operator) -> None:
    operator.management.delete_queue("paiement.inbox")


def unbind(operator: Operator) -> None:
    operator.management.unbind("stock.events", "paiement.inbox", "stock.reserve")


def unbind_the_history(operator: Operator) -> None:
    operator.management.unbind("notification.events", "saga.history", "#")


def other_type(operator: Operator) -> None:
    operator.management.delete_exchange("stock.retry")
    with ForeignClient(operator.settings["amqp_url"]) as client:
        client.declare_exchange("stock.retry", "fanout")
        for delay in ("1", "5"):
            client.bind(f"stock.retry.{delay}", "stock.retry", f"{delay}.#")
        client.bind("saga.history", "stock.retry", "#")


def other_arguments(operator: Operator) -> None:
    operator.management.delete_queue("stock.dlq")
    with ForeignClient(operator.settings["amqp_url"]) as client:
        client.declare_queue("stock.dlq", **{"x-delivery-limit": 3, "x-max-length": 10})
        client.bind("stock.dlq", "stock.dlx", "#")


def bind_too_much(operator: Operator) -> None:
    with ForeignClient(operator.settings["amqp_url"]) as client:
        client.bind("stock.inbox", "paiement.events", "#")


def forward(operator: Operator) -> None:
    with ForeignClient(operator.settings["amqp_url"]) as client:
        client.bind_exchange("stock.events", "client.events", "#")


def other_delays(operator: Operator) -> None:
    assert operator.topology("apply", retry_delays="1,5,60").code == 0


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (delete_exchange, {("exchange_missing", "stock.dlx")}),
        (delete_queue, {("queue_missing", "paiement.inbox")}),
        (unbind, {("binding_missing", "paiement.inbox"), ("unroutable", "stock.reserve")}),
        (unbind_the_history, {("binding_missing", "saga.history"), ("unroutable", "notification.envoyee")}),
        (other_type, {("exchange_other", "stock.retry")}),
        (other_arguments, {("queue_other", "stock.dlq")}),
        (bind_too_much, {("binding_undeclared", "stock.inbox")}),
        (forward, {("binding_undeclared", "stock.events")}),
        (
            other_delays,
            {
                ("queue_undeclared", f"{name}.retry.60")
                for name in ("stock", "paiement", "commande", "notification")
            },
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_kind_of_drift_is_named(
    operator: Operator, change: Callable[[Operator], None], found: set[tuple[str, str]]
) -> None:
    change(operator)
    assert operator.differences("--without-workers") == found


@pytest.mark.parametrize("change", [delete_exchange, delete_queue, unbind, unbind_the_history])
def test_what_is_missing_is_made_by_the_command_that_the_difference_names(
    operator: Operator, change: Callable[[Operator], None]
) -> None:
    change(operator)
    assert "'python -m services topology apply'" in operator.topology("check").out
    assert operator.topology("apply").code == 0
    assert operator.differences("--without-workers") == set()


def test_events_that_a_missing_binding_has_cost_are_published_again_by_the_named_command(
    operator: Operator,
) -> None:
    unbind(operator)
    assert "outbox resend --service stock --since TIME" in operator.topology("check").out


def test_a_policy_that_drops_messages_is_named_and_one_that_bounds_the_history_is_not(operator: Operator) -> None:
    with operator.management.policy("history$", **{"max-length-bytes": 5_000_000}):
        with (
            operator.management.policy("dlq$", **{"message-ttl": 1000}),
            operator.management.policy("audit$", **{"max-age": "1D"}),
        ):
            expected = {("policy", f"{name}.dlq") for name in ("stock", "paiement", "commande", "notification")}
            expected.add(("policy", "saga.audit"))
            until(lambda: operator.differences("--without-workers") == expected, "the policy has its effect")
        until(lambda: operator.differences("--without-workers") == set(), "the policy is gone")


def test_whoever_consumes_dead_letters_or_retries_is_named(operator: Operator) -> None:
    with ForeignClient(operator.settings["amqp_url"]) as client:
        client.consume("stock.dlq")
        client.consume("stock.retry.5")
        wrong = {("undeclared_consumer", "stock.dlq"), ("undeclared_consumer", "stock.retry.5")}
        assert operator.differences("--without-workers") == wrong


def test_without_the_management_the_check_says_in_one_line_what_it_needs(operator: Operator) -> None:
    done = operator.topology("check", management_url="")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "SAGA_MANAGEMENT_URL is not set" in done.err


def test_a_queue_whose_arguments_must_change_is_refused_with_its_migration_and_nothing_is_made(
    operator: Operator,
) -> None:
    other_arguments(operator)
    operator.management.delete_exchange("paiement.dlx")
    before = state(operator)
    done = operator.topology("apply")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "stock.dlq exists as something else" in done.err
    assert "x-delivery-limit" in done.err or "x-max-length" in done.err
    for step in ("1. send back", "delete_queue stock.dlq --if-empty", "'python -m services topology apply'"):
        assert step in done.err
    assert state(operator) == before
    operator.management.delete_queue("stock.dlq")
    assert operator.topology("apply", "--json").json["made"] == ["paiement.dlx", "stock.dlq"]
    assert operator.differences("--without-workers") == set()


@pytest.mark.parametrize("queue", ["stock.inbox", "stock.retry.5", "stock.dlq"])
def test_the_migration_of_each_kind_of_queue_is_spelled_out(operator: Operator, queue: str) -> None:
    operator.management.delete_queue(queue)
    with ForeignClient(operator.settings["amqp_url"]) as client:
        client.declare_queue(queue)
    for done in (operator.topology("apply"), operator.topology("check")):
        text = next(line for line in (done.out + done.err).splitlines() if queue in line)
        assert [text.find(f"{number}. ") > 0 for number in (1, 2, 3, 4)] == [True] * 4
        assert f"delete_queue {queue} --if-empty" in text


def test_the_audit_is_copied_before_it_gets_other_bounds(operator: Operator) -> None:
    operator.management.delete_queue("saga.audit")
    with ForeignClient(operator.settings["amqp_url"]) as client:
        client.declare_queue("saga.audit", **{"x-queue-type": "stream", "x-max-age": "1D"})
    done = operator.topology("apply")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "keep a copy of the audit ('python -m services dlq audit --json')" in done.err


def test_a_history_with_other_bounds_is_left_as_it_is_and_named(operator: Operator) -> None:
    other = {"history_max_bytes": 1_000_000_000}
    done = operator.topology("apply", **other)
    assert (done.code, done.err.count("\n")) == (0, 1)
    assert "saga.history keeps its bounds" in done.err
    assert operator.differences("--without-workers", **other) == {("queue_other", "saga.history")}


def test_applying_twice_makes_nothing_more(operator: Operator) -> None:
    assert operator.topology("apply", "--json").json == {"made": [], "refused": {}, "other_bounds": ""}


def state(operator: Operator) -> Any:
    management = operator.management
    return (
        sorted((row["name"], row["type"]) for row in management.exchanges()),
        sorted((row["name"], str(row["arguments"])) for row in management.queues()),
        sorted((row["source"], row["destination"], row["routing_key"]) for row in management.bindings()),
    )
