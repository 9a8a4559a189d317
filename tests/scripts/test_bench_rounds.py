"""Rounds of the benchmarks of the whole system, as short as they can be, on a real broker."""

from __future__ import annotations

import contextlib
import os
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from scripts.benchmarks.system import contenders, latency, rounds
from scripts.benchmarks.system.load import Publisher, bodies
from scripts.benchmarks.system.open_loop import Arrivals
from scripts.benchmarks.system.workers import SERVICES
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.brokers import Broker


class SessionBroker:
    """The broker of the session of tests in place of a private node; this process stands for the server's."""

    pid = os.getpid()

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    @contextmanager
    def virtual_host(self, name: str) -> Iterator[str]:
        operator = self._broker.management(f"{name}-{uuid.uuid4().hex[:8]}")
        operator.create_vhost()
        try:
            yield self._broker.url(operator.vhost)
        finally:
            operator.delete_vhost()


@pytest.fixture
def node(broker: Broker) -> Any:
    return cast("Any", SessionBroker(broker))


@pytest.mark.parametrize(
    "contender", [contenders.ours(mail=False), contenders.ceiling()], ids=lambda one: one.name
)
def test_a_round_measures_rate_cpu_memory_and_start_of_each_service(contender: Any, node: Any) -> None:
    figures = rounds.measure(contender, node, "round", seconds=0.2)
    assert figures["contender"] == contender.name
    assert figures["orders"] > 0
    assert figures["orders_per_second"] > 0
    assert figures["cpu_us_per_order"].keys() == {*SERVICES, "broker"}
    for what in ("memory_mb", "ready_seconds"):
        assert figures[what].keys() == {*SERVICES}
        assert min(figures[what].values()) > 0


def test_a_round_waits_for_the_monitor_and_counts_its_processor_time(node: Any) -> None:
    (contender,) = contenders.chosen(["monitor"])
    figures = rounds.measure(contender, node, "monitor", seconds=0.2)
    assert figures["monitor_behind_seconds"] >= 0
    assert figures["cpu_us_per_order"]["monitor"] > 0


def test_a_round_with_cancellations_ends_when_every_order_is_created_or_undone(node: Any) -> None:
    (contender,) = contenders.chosen(["cancellations"])
    with (
        rounds.running(contender, node, "cancellations") as system,
        contextlib.closing(Publisher(system.url, bodies(refused=contender.refused))) as publisher,
        contextlib.closing(Arrivals(system.url)) as created,
        contextlib.closing(Arrivals(system.url, "commande.events", "commande.annulee")) as cancelled,
    ):
        figures = rounds.saturated(system, publisher, 0.2, warm=10)
        orders = 10 + figures["orders"]
        until(lambda: len(created.at) + len(cancelled.at) == orders, "every order is created or cancelled")
        assert len(cancelled.at) == orders * 3 // 10


def test_two_workers_a_service_share_a_database_and_orders_go_on_when_one_is_killed(node: Any) -> None:
    (contender,) = contenders.chosen(["two_workers"])
    figures = rounds.measure(contender, node, "two", seconds=0.2, kill=True)
    assert figures["cpu_us_per_order"].keys() == {*SERVICES, "broker", "postgresql"}
    assert figures["cpu_us_per_order"]["postgresql"] > 0
    assert (figures["kill"]["orders"], figures["kill"]["lost"]) == (300, 0)


def test_every_order_offered_has_a_latency(node: Any) -> None:
    (figures,) = latency.measure(contenders.ceiling(), node, "latency", rates=[50], seconds=1)
    assert (figures["rate"], figures["orders"], figures["missing"]) == (50, 50, 0)
    assert 0 < figures["p50"] <= figures["p95"] <= figures["p99"]
    assert figures["cpu_us_per_order"].keys() == {*SERVICES, "broker"}
