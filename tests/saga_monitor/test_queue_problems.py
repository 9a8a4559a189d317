"""What the monitor asks the management, because AMQP does not tell: leaders, hidden messages, missing figures."""

from __future__ import annotations

import datetime as dt
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie.saga.topology import dlx
from scripts.nemesis import faults_broker, recorder
from scripts.nemesis.management import Management
from scripts.nemesis.nodes import USER, InstalledNode, installed
from scripts.probes import HOST
from tests.saga_monitor.test_not_known import Watched, asked, serving
from tests.support.fake_management import management_that_answers
from tests.support.foreign_client import ForeignClient
from tests.support.queue_servers import take_server_away
from tests.support.topology import declare_topology_at
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What a queue could not dead-letter it tries again after three minutes, unless told otherwise.
TRY_AGAIN_SOON = "application:set_env(rabbit, dead_letter_worker_publisher_confirm_timeout, 2000)."
COMMANDS = (
    ["list"],
    ["show", "CMD-1"],
    ["report"],
    ["report", "--orders", "--csv"],
    ["history"],
    ["anomalies"],
    ["anomalies", "--acknowledge"],
    ["letter", "1"],
    ["list", "--at", "0m"],
)


class MonitoredNode:
    """A broker of the installed version whose queues may lose their servers, and a monitor that asks it."""

    def __init__(self, node: InstalledNode, folder: Path) -> None:
        self.node = node
        self.url = f"amqp://{USER}:{node.password}@{HOST}:{node.port('amqp')}/"
        self.login = f"http://{USER}:{node.password}@{HOST}:{node.port('management')}"
        self.management = Management(self.login, USER, node.password, "/")
        self.watched = Watched(self.url, ForeignClient(self.url).__enter__(), folder)
        self.watched.settings |= {"management_url": self.login}

    def bring_servers_back(self) -> None:
        targets: Any = SimpleNamespace(node=self.node, cluster=None, notes=[])
        assert faults_broker.restart_dead_queues(targets)
        # A server that was started again may crash once more.
        faults_broker.restart_until_calm(targets)

    def anomalies(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.watched.run("anomalies", "--json").stdout)
        return found

    def figures_are_in(self) -> bool:
        """Whether the management has figures of every queue, and every quorum queue has a leader."""
        return all("messages" in row and row.get("leader", True) for row in self.management.queues())

    def topology(self) -> tuple[set[str], set[str], set[tuple[str, str, str]]]:
        bindings = self.management.bindings()
        return (
            {row["name"] for row in self.management.queues()},
            {row["name"] for row in self.management.exchanges()},
            {(row["source"], row["destination"], row["routing_key"]) for row in bindings},
        )


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InstalledNode]:
    with installed(tmp_path_factory.mktemp("node") / "broker") as started:
        assert isinstance(started, InstalledNode)
        started.control("eval", TRY_AGAIN_SOON)
        yield started


@pytest.fixture
def monitored(node: InstalledNode, tmp_path: Path) -> Iterator[MonitoredNode]:
    ready = MonitoredNode(node, tmp_path)
    for row in ready.management.queues():
        ready.management.delete_queue(row["name"])
    declare_topology_at(ready.url)
    until(ready.figures_are_in, "the management has figures of the queues")
    yield ready
    ready.watched.foreign_client.__exit__(None, None, None)


def test_messages_that_cannot_be_dead_lettered_are_an_anomaly_until_they_can(monitored: MonitoredNode) -> None:
    monitored.management.delete_exchange(dlx("stock"))
    for number in range(3):
        assert monitored.watched.foreign_client.publish("stock.requeue", "commande.initiee", b"%d" % number)
    with recorder.connect(monitored.url) as link:
        channel = link.channel()
        for _, (method, _, _) in zip(range(2), channel.consume("stock.inbox"), strict=False):
            channel.basic_reject(method.delivery_tag, requeue=False)
        channel.close()

    def figures() -> tuple[Any, Any, Any]:
        row = monitored.management.queue("stock.inbox")
        return row.get("messages"), row.get("messages_ready"), row.get("messages_unacknowledged")

    until(lambda: figures() == (3, 1, 0), "the management's figures are of now")
    hidden = monitored.watched.wrong()["queue", "hidden"]
    assert (hidden["service"], hidden["count"]) == ("stock", 2)
    assert "2 messages are neither ready nor with a worker: 2 in stock.inbox" in hidden["sentence"]
    assert "the exchange stock.dlx exists and leads to stock.dlq" in hidden["sentence"]
    declare_topology_at(monitored.url)
    until(lambda: monitored.management.queue("stock.dlq").get("messages") == 2, "they follow", within_seconds=90)
    found = monitored.anomalies()
    assert "hidden" not in {one["reason"] for one in found}
    assert dead_letters_of_stock(found) == 2


def test_a_queue_without_a_leader_is_not_taken_for_empty(monitored: MonitoredNode) -> None:
    monitored.watched.publish("CMD-1")
    monitored.watched.set_aside("stock", 3)
    for queue in ("stock.dlq", "paiement.inbox", "stock.inbox"):
        take_server_away(monitored.node, queue)
    named = ["stock.dlq, stock.inbox have no leader", "paiement.inbox has no leader"]
    until(lambda: leaderless(monitored.anomalies()) == named, "the management tells of all three")
    found = monitored.anomalies()
    assert ("stuck", "no_leader", "CMD-1") in {(one["kind"], one["reason"], one["commande_id"]) for one in found}
    assert dead_letters_of_stock(found) == 3
    monitored.bring_servers_back()
    until(monitored.figures_are_in, "the leaders are back")
    found = monitored.anomalies()
    assert "no_leader" not in {one["reason"] for one in found}
    assert dead_letters_of_stock(found) == 3


def leaderless(found: list[dict[str, Any]]) -> list[str]:
    """What is said of the queues without a leader, without the remedy."""
    said = [one["sentence"] for one in found if (one["kind"], one["reason"]) == ("queue", "no_leader")]
    return [sentence.partition(":")[0] for sentence in said]


def dead_letters_of_stock(found: list[dict[str, Any]]) -> int:
    return sum(one["count"] for one in found if (one["kind"], one["service"]) == ("dead_letter", "stock"))


def test_the_web_page_shows_a_lost_leader_until_it_is_back(monitored: MonitoredNode, tmp_path: Path) -> None:
    with serving(monitored.watched, tmp_path / "log") as url:
        until(lambda: "Nothing is wrong" in asked(f"{url}/anomalies")[1], "the first look")
        take_server_away(monitored.node, "commande.retry.5")
        until(
            lambda: "commande.retry.5 has no leader" in asked(f"{url}/anomalies")[1], "the page", within_seconds=60
        )
        assert "commande.retry.5 has no leader" in asked(f"{url}/api/anomalies")[1]
        monitored.bring_servers_back()
        until(lambda: "Nothing is wrong" in asked(f"{url}/anomalies")[1], "the page to say so")


def test_no_monitor_command_declares_or_binds_what_is_missing(monitored: MonitoredNode, tmp_path: Path) -> None:
    monitored.watched.publish("CMD-1")
    monitored.management.unbind("stock.events", "paiement.inbox", "stock.reserve")
    monitored.management.unbind("commande.events", "saga.history", "#")
    monitored.management.delete_queue("notification.dlq")
    monitored.management.delete_exchange("paiement.dlx")
    before = monitored.topology()
    for arguments in COMMANDS:
        done = monitored.watched.run(*arguments, topology="apply")
        assert done.returncode in {0, 1}, done.stderr
        assert monitored.topology() == before, arguments
    with serving(monitored.watched, tmp_path / "log") as url:
        for page in ("/", "/anomalies", "/sagas/commande/CMD-1", "/api/anomalies", "/metrics"):
            assert asked(f"{url}{page}")[1], page
        until(lambda: "notification.dlq does not exist" in asked(f"{url}/anomalies")[1], "a look at the queues")
    assert monitored.topology() == before


def test_a_management_that_refuses_or_knows_other_queues_is_an_anomaly(monitored: MonitoredNode) -> None:
    place = monitored.login.rpartition("@")[2]
    refused = monitored.watched.wrong(management_url=f"http://{USER}:wrong@{place}")
    assert "HTTP 401" in refused["blind", "bindings_not_known"]["sentence"]
    assert "has a leader" in refused["blind", "bindings_not_known"]["sentence"]
    with management_that_answers(b"[]") as settings:
        other = monitored.watched.wrong(management_url=settings.management_url)
    assert "no figures of any of its queues" in other["queue", "no_figures"]["sentence"]
    since = dt.datetime.fromisoformat(other["queue", "no_figures"]["since"])
    assert since < dt.datetime.now(dt.UTC) - dt.timedelta(seconds=15)
