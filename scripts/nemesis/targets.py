"""What a fault may lay hands on, and what a fault is."""

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
    from scripts.nemesis.environment import Arena
    from scripts.nemesis.nodes import Node
    from scripts.nemesis.private_postgres import PrivatePostgres
    from scripts.nemesis.proxy import Proxy

# A quorum queue whose node is killed within moments of its declaration is without a leader for good (3.10.8).
TOPOLOGY_SETTLES_SECONDS = 3.0


@dataclass
class Stage:
    """`ballast` is where the disk of the databases can be filled, or None where it cannot.

    `cluster`: of which `node` is the first; None when it is alone.
    """

    arena: Arena
    node: Node
    proxy: Proxy
    rng: random.Random
    postgres: PrivatePostgres | None = None
    ballast: Path | None = None
    cluster: Cluster | None = None
    notes: list[str] = field(default_factory=list)

    def operate(self, *verb: str) -> None:
        """An operator's verb of the services, on the broker itself. Raises when it fails, with its words."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SAGA_")}
        environment = kept | self.arena.environment | {"SAGA_AMQP_URL": self.arena.url}
        command = [sys.executable, "-m", "services", *verb]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(verb)}: {done.stderr[-500:]}")


class Fault(Protocol):
    """A small fault. Begun, it lasts until it is ended; ended, everything it touched works again."""

    def start(self, stage: Stage) -> None: ...

    def stop(self, stage: Stage) -> None: ...
