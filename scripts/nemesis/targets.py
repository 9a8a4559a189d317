"""What a fault can act on, and the protocol of a fault."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from scripts.nemesis.workers import ROOT

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from scripts.nemesis.cluster import Cluster
    from scripts.nemesis.environment import Environment
    from scripts.nemesis.nodes import Node
    from scripts.nemesis.private_postgres import PrivatePostgres
    from scripts.nemesis.proxy import Proxy

# On 3.10.8 a quorum queue whose node is killed moments after its declaration stays without a leader.
TOPOLOGY_SETTLES_SECONDS = 3.0


@dataclass
class Targets:
    """`ballast` is the file that fills the disk of the databases, or None when there is no such disk.

    `cluster`: the cluster whose first node is `node`; None when the node is alone.
    """

    environment: Environment
    node: Node
    proxy: Proxy
    rng: random.Random
    postgres: PrivatePostgres | None = None
    ballast: Path | None = None
    cluster: Cluster | None = None
    notes: list[str] = field(default_factory=list)

    def run_command(self, *command_arguments: str) -> None:
        """Run an operator's command of the services on the broker itself. Raises RuntimeError with its stderr."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("SAGA_")}
        env = inherited | self.environment.env | {"SAGA_AMQP_URL": self.environment.url}
        command = [sys.executable, "-m", "services", *command_arguments]
        result = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False
        )
        if result.returncode:
            raise RuntimeError(f"{' '.join(command_arguments)}: {result.stderr[-500:]}")


class Fault(Protocol):
    """A small fault. It lasts from `start` to `stop`; after `stop` everything it touched works again."""

    def start(self, targets: Targets) -> None: ...

    def stop(self, targets: Targets) -> None: ...
