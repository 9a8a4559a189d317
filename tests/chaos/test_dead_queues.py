"""A queue whose server died at the broker's start is restarted, and the run notes it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from scripts.nemesis import faults_broker, recorder
from scripts.nemesis.management import Management
from scripts.nemesis.nodes import USER, InstalledNode, installed
from scripts.probes import HOST
from tests.support.queue_servers import take_server_away
from tests.support.workers import until

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.nemesis.history import QueueState

QUEUE = "stock.retry.600"


class NodeWithDeadQueues:
    """A node on which each check finds the given number of dead queues."""

    def __init__(self, *dead: int) -> None:
        self._dead = list(dead)

    def start(self) -> None:
        pass

    def control(self, *_: str) -> str:
        return f"{self._dead.pop(0)}\n"


def stage_of(node: Any) -> Any:
    return SimpleNamespace(node=node, cluster=None, notes=[])


@pytest.fixture
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults_broker, "CRASHES_SECONDS", 0.0)


@pytest.mark.usefixtures("without_waiting")
def test_a_queue_that_dies_after_the_first_check_is_found_by_the_next() -> None:
    targets = stage_of(NodeWithDeadQueues(0, 1, 0, 0))
    faults_broker.start(targets)
    assert targets.notes == ["1 queues had no server after the broker's start; started by hand"]


@pytest.mark.usefixtures("without_waiting")
def test_queues_that_stay_dead_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="without a server"):
        faults_broker.start(stage_of(NodeWithDeadQueues(*[1] * 50)))


def test_a_dead_queue_reports_its_messages_again_after_its_restart(tmp_path: Path) -> None:
    with installed(tmp_path / "broker") as node:
        assert isinstance(node, InstalledNode)
        management = Management(f"http://{HOST}:{node.port('management')}", USER, node.password, "/")
        with recorder.connect(f"amqp://{USER}:{node.password}@{HOST}:{node.port('amqp')}/") as connection:
            connection.channel().queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})

        def seen() -> QueueState:
            (queue,) = recorder.read_queues(management)
            return queue

        node.stop()
        node.start()
        take_server_away(node, QUEUE)
        until(lambda: not seen().counted, "the management without figures of it")
        targets = stage_of(node)
        assert faults_broker.restart_dead_queues(targets) == 1
        assert len(targets.notes) == 1
        until(lambda: seen().counted, "its messages")
        assert faults_broker.restart_dead_queues(targets) == 0
