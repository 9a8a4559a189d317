"""A cluster of three nodes: the installed server three times on loopback, with one epmd for all."""

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
# The minority of a partition stops, so it cannot confirm what the majority does not know.
CONFIGURATION = """\
cluster_formation.peer_discovery_backend = classic_config
cluster_partition_handling = pause_minority
"""


class Member(InstalledNode):
    """Member `number` of three, from 1. `first` is the member whose epmd it uses; None: it starts its own."""

    def __init__(self, folder: Path, number: int, password: str, first: Member | None) -> None:
        super().__init__(folder / f"node-{number}", f"chaos-{number}", password)
        self._first = first
        # Disjoint port ranges: members that start together would choose the same port before either listens on it.
        self.allowed_ports = PORTS[number - 1 :: MEMBERS]

    def join(self, nodes: list[str], cookie: str) -> None:
        """Write the configuration that makes it a member of the cluster `nodes`."""
        named = (f"cluster_formation.classic_config.nodes.{n} = {node}\n" for n, node in enumerate(nodes, 1))
        (self.directory / "conf.d" / "20-cluster.conf").write_text(CONFIGURATION + "".join(named))
        cookie_file = self.directory / "home" / ".erlang.cookie"
        cookie_file.parent.mkdir()
        cookie_file.write_text(cookie)
        cookie_file.chmod(0o400)  # the server refuses any other mode

    def launch(self) -> None:
        """Start it unless it runs, without waiting: it waits for the other members itself."""
        if self._alive("server"):
            return
        if self._first is not None:
            ports = self._record().get("ports", {}) | {"epmd": self._first.port("epmd")}
            self._note(ports=ports, epmd=self._first._record()["epmd"])
        self._launch()

    def stop_epmd(self) -> None:
        """Stop epmd, once no member runs."""
        super()._end("epmd", 5)

    def _end(self, role: str, patience_seconds: float) -> None:
        """All members share one epmd: it outlives a member that stops or does not start."""
        if role != "epmd":
            super()._end(role, patience_seconds)


class Cluster:
    """Workers and clients connect to any member; the queues are replicated to all three."""

    def __init__(self, folder: Path) -> None:
        password = secrets.token_hex(12)
        first = Member(folder, 1, password, None)
        self.members = [first, *(Member(folder, number, password, first) for number in range(2, MEMBERS + 1))]
        cookie = secrets.token_hex(20)
        for member in self.members:
            member.join([other.node for other in self.members], cookie)

    def start(self) -> None:
        """Start the members that do not run, and wait until all answer and form one cluster."""
        self.start_members()
        self.await_complete()

    def start_members(self) -> None:
        """Start the members that do not run, together: each waits for the others."""
        for member in self.members:
            member.launch()
        for member in self.members:
            member.start()

    def stop(self) -> None:
        """Stop the members one after the other; their data stays."""
        for member in self.members:
            member.stop()

    def await_complete(self, seconds: float = START_SECONDS) -> None:
        """Wait until every node runs and every queue has a replica on each. Raises NodeError."""
        deadline = time.monotonic() + seconds
        while lacking := self._missing():
            if time.monotonic() > deadline:
                raise NodeError(f"The cluster is not complete after {seconds:.0f} s: {lacking}.")
            time.sleep(0.5)

    def leader_of(self, queue: str) -> Member:
        """The member that leads the queue. Within 5 s of an election the answer may be the previous leader."""
        leader = self.management.queue(queue)["leader"]
        return next(member for member in self.members if member.node == leader)

    def end(self) -> None:
        """Kill all members; their data is no longer needed."""
        for member in self.members:
            member.kill()
        self.members[0].stop_epmd()

    @property
    def management(self) -> Management:
        """The management API of the first member; it reports on all members while it runs."""
        first = self.members[0]
        return Management(f"http://{HOST}:{first.port('management')}", USER, first.password, "/")

    def _missing(self) -> str:
        try:
            running = sum(bool(node["running"]) for node in self.management.nodes())
            queues = [row for row in self.management.queues() if row["type"] in REPLICATED]
        except ManagementError as error:
            return str(error)
        if running < MEMBERS:
            return f"only {running} nodes are in one cluster"
        short = [row["name"] for row in queues if len(row.get("online", ())) < MEMBERS]
        return f"{len(short)} queues lack a replica, among them {short[0]}" if short else ""


@contextlib.contextmanager
def three_nodes(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.end()
