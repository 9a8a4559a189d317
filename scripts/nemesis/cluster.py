"""A broker of three nodes: the installed server three times on loopback, with one name service between them."""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import TYPE_CHECKING

from scripts.installed_server import NodeError
from scripts.nemesis.management import Management, ManagementError
from scripts.nemesis.nodes import START_SECONDS, USER, InstalledNode
from scripts.private_node import PORTS
from scripts.probes import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMBERS = 3
REPLICATED = {"quorum", "stream"}
# The minority of a split stops, and cannot promise what the majority does not know.
CONFIGURATION = """\
cluster_formation.peer_discovery_backend = classic_config
cluster_partition_handling = pause_minority
"""


class Member(InstalledNode):
    """One of the three, `number` from 1; `first` is the one whose name service it uses, None: its own."""

    def __init__(self, folder: Path, number: int, password: str, first: Member | None) -> None:
        super().__init__(folder / f"node-{number}", f"chaos-{number}", password)
        self._first = first
        # Started together, two would else choose a port before either listens on it.
        self.may_listen_on = PORTS[number - 1 :: MEMBERS]

    def join(self, nodes: list[str], cookie: str) -> None:
        """Write down what makes it one of `nodes`."""
        named = (f"cluster_formation.classic_config.nodes.{n} = {node}\n" for n, node in enumerate(nodes, 1))
        (self.directory / "conf.d" / "20-cluster.conf").write_text(CONFIGURATION + "".join(named))
        kept = self.directory / "home" / ".erlang.cookie"
        kept.parent.mkdir()
        kept.write_text(cookie)
        kept.chmod(0o400)  # else the server refuses it

    def launch(self) -> None:
        """Start it unless it runs, and wait for nothing: it waits for the others itself."""
        if self._alive("server"):
            return
        if self._first is not None:
            ports = self._record().get("ports", {}) | {"epmd": self._first.port("epmd")}
            self._note(ports=ports, epmd=self._first._record()["epmd"])
        self._launch()

    def end_names(self) -> None:
        """Once no member runs."""
        super()._end("epmd", 5)

    def _end(self, role: str, patience_seconds: float) -> None:
        """The name service is everybody's: it outlives a member that stops, or that does not start."""
        if role != "epmd":
            super()._end(role, patience_seconds)


class Cluster:
    """Workers and clients may go to any of its members; the queues are on all three."""

    def __init__(self, folder: Path) -> None:
        password = secrets.token_hex(12)
        first = Member(folder, 1, password, None)
        self.members = [first, *(Member(folder, number, password, first) for number in range(2, MEMBERS + 1))]
        cookie = secrets.token_hex(20)
        for member in self.members:
            member.join([other.node for other in self.members], cookie)

    def start(self) -> None:
        """Start the members that do not run, and wait until all answer and know of one another."""
        for member in self.members:
            member.launch()
        for member in self.members:
            member.start()
        self.await_whole()

    def await_whole(self, seconds: float = START_SECONDS) -> None:
        """Wait until every node runs, and every queue has a copy on each that is up. Raises NodeError."""
        deadline = time.monotonic() + seconds
        while lacking := self._lacking():
            if time.monotonic() > deadline:
                raise NodeError(f"The cluster is not whole after {seconds:.0f} s: {lacking}.")
            time.sleep(0.5)

    def leader_of(self, queue: str) -> Member:
        """The member that leads the queue; who asks within 5 s of an election may be told the one before."""
        leader = self.management.queue(queue)["leader"]
        return next(member for member in self.members if member.node == leader)

    def end(self) -> None:
        """Kill all of it: what it holds is needed no more."""
        for member in self.members:
            member.kill()
        self.members[0].end_names()

    @property
    def management(self) -> Management:
        """Of the first member: it tells of all, as long as it runs."""
        first = self.members[0]
        return Management(f"http://{HOST}:{first.port('management')}", USER, first.password, "/")

    def _lacking(self) -> str:
        try:
            running = sum(bool(node["running"]) for node in self.management.nodes())
            queues = [row for row in self.management.queues() if row["type"] in REPLICATED]
        except ManagementError as error:
            return str(error)
        if running < MEMBERS:
            return f"{running} nodes run as one"
        short = [row["name"] for row in queues if len(row.get("online", ())) < MEMBERS]
        return f"{len(short)} queues lack a copy, {short[0]} among them" if short else ""


@contextlib.contextmanager
def three_nodes(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.end()
