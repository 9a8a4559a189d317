"""The private node keeps its data, uses its own ports, and stops completely."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts import installed_server
from scripts.installed_server import NodeError
from scripts.private_node import PrivateNode
from tests.support.foreign_client import ForeignClient
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = Path(__file__).parents[3] / "scripts" / "rabbitmq"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[PrivateNode]:
    """Not started yet. Its folder has a space in its name."""
    private = PrivateNode(tmp_path / "a folder", "keeper")
    yield private
    private.stop(wipe=True)


def run(node: PrivateNode, *arguments: str) -> subprocess.CompletedProcess[str]:
    place = ["--dir", str(node.directory), "--name", node.name]
    command = [sys.executable, str(COMMAND), *arguments, *place]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def registers(node: PrivateNode) -> Iterator[Path]:
    """The files in which the node registers its quorum queues."""
    return node.directory.rglob("names.dets")


def test_what_was_confirmed_survives_a_power_cut(node: PrivateNode) -> None:
    url = node.start()
    with ForeignClient(url) as client:
        client.declare_queue("kept")
        # RabbitMQ registers a quorum queue a while after its declaration. A power cut before that leaves 3.10 with
        # a queue without a leader.
        until(lambda: any(b"kept" in names.read_bytes() for names in registers(node)), "the queue is registered")
        client.publish("", "kept", b"hello", delivery_mode=2)
    node.kill()
    assert not node.running()
    assert node.start() == url
    with ForeignClient(url) as client:
        got = client.get("kept", within_seconds=90)
    assert got is not None
    assert got.body == b"hello"


def test_the_command_starts_once_tells_and_stops(node: PrivateNode) -> None:
    assert run(node, "url").returncode == 1
    first, second = run(node, "start"), run(node, "start")
    assert first.returncode == second.returncode == 0
    assert first.stdout == second.stdout == run(node, "url").stdout == node.url() + "\n"
    state = json.loads(run(node, "status", "--json").stdout)
    assert (state["running"], state["url"], state["node"]) == (True, node.url(), "keeper@localhost")
    assert run(node, "stop", "--wipe").returncode == 0
    assert not node.directory.exists()
    assert run(node, "stop").returncode == 0


def test_without_a_server_one_sentence_says_what_to_install(
    node: PrivateNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed_server, "SERVERS", ("/nowhere",))
    with pytest.raises(NodeError, match="apt-get install rabbitmq-server"):
        node.start()


def test_a_name_that_erlang_would_refuse_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="Not a node name"):
        PrivateNode(tmp_path, "É t@t")
