"""What needs a broker of its own: `rabbitmqctl`, queues that lose their leader, messages that stay hidden."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from scripts.installed_server import find_server
from scripts.nemesis import faults_broker, recorder
from scripts.nemesis.management import Management
from scripts.nemesis.nodes import USER, InstalledNode, installed
from scripts.probes import HOST
from tests.choregraphie.deployment.conftest import DELAYS, Operator, Parts, command
from tests.saga_monitor.test_queue_problems import TRY_AGAIN_SOON
from tests.support.foreign_client import ForeignClient
from tests.support.queue_servers import take_server_away
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InstalledNode]:
    with installed(tmp_path_factory.mktemp("node") / "broker") as started:
        assert isinstance(started, InstalledNode)
        started.control("eval", TRY_AGAIN_SOON)
        yield started


@pytest.fixture
def of_node(node: InstalledNode) -> Operator:
    """The administrator of the default virtual host of the node, which has the topology."""
    place = f"{USER}:{node.password}@{HOST}"
    login = f"http://{place}:{node.port('management')}"
    settings = {
        "amqp_url": f"amqp://{place}:{node.port('amqp')}/",
        "management_url": login,
        "retry_delays": DELAYS,
    }
    operator = Operator(Management(login, USER, node.password, "/"), settings)
    assert operator.topology("apply").code == 0
    until(lambda: all("messages" in row for row in operator.management.queues()), "the management has figures")
    return operator


def test_a_queue_without_a_leader_is_named_until_it_has_one(node: InstalledNode, of_node: Operator) -> None:
    for queue in ("stock.inbox", "paiement.retry.5"):
        take_server_away(node, queue)
    leaderless = {("no_leader", "stock.inbox"), ("no_leader", "paiement.retry.5")}
    until(lambda: of_node.differences("--without-workers") == leaderless, "both are named")
    targets: Any = SimpleNamespace(node=node, cluster=None, notes=[])
    assert faults_broker.restart_dead_queues(targets)
    until(lambda: of_node.differences("--without-workers") == set(), "the leaders are back")


def test_messages_that_cannot_be_dead_lettered_are_named_until_they_can(of_node: Operator) -> None:
    of_node.management.delete_exchange("stock.dlx")
    with ForeignClient(of_node.settings["amqp_url"]) as client:
        assert client.publish("stock.requeue", "commande.initiee", b"{}")
    with recorder.connect(of_node.settings["amqp_url"]) as link:
        channel = link.channel()
        for _, (method, _, _) in zip(range(1), channel.consume("stock.inbox"), strict=False):
            channel.basic_reject(method.delivery_tag, requeue=False)
        channel.close()
    hidden = {("exchange_missing", "stock.dlx"), ("hidden", "stock.inbox")}
    until(lambda: of_node.differences("--without-workers") == hidden, "the figures are of now")
    assert "stock.inbox hides 1 message," in of_node.topology("check").out
    assert of_node.topology("apply").code == 0
    until(lambda: of_node.differences("--without-workers") == set(), "they follow")


def test_rabbitmqctl_makes_the_users_and_imports_the_document(node: InstalledNode, tmp_path: Path) -> None:
    tool = tmp_path / "rabbitmqctl"
    tool.write_text(
        f"#!/bin/sh\nexport HOME={node.directory}/home ERL_EPMD_PORT={node.port('epmd')}"
        f" RABBITMQ_CONF_ENV_FILE={node.directory}/rabbitmq-env.conf\n"
        f'exec {find_server().with_name("rabbitmqctl")} -q -n {node.node} "$@"\n'
    )
    tool.chmod(0o755)
    folder = tmp_path / "users"
    url = f"amqp://anybody:anything@{HOST}:{node.port('amqp')}/an%20app"
    settings: dict[str, Any] = {"amqp_url": url, "retry_delays": DELAYS}
    users = ("topology", "users", "--into", str(folder), "--rabbitmqctl", str(tool), "--json")
    first = command(*users, **settings)
    assert [one["new"] for one in first.json] == [True] * 8, first.err
    assert [one["new"] for one in command(*users, **settings).json] == [False] * 8
    document = command("topology", "export", "--passwords", str(folder), **settings).out
    subprocess.run([tool, "import_definitions"], input=document, text=True, check=True, capture_output=True)
    applied = command("topology", "apply", "--json", **Parts(folder, "").settings("deployer"))
    assert applied.json["made"] == [], applied.err
