"""What a fault may lay hands on, and what a fault is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from scripts.private_node import find_server
from tests.chaos.fleet import ROOT

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from scripts.private_node import PrivateNode
    from tests.chaos.arena import Arena
    from tests.chaos.proxy import Proxy
    from tests.support.postgres import PrivatePostgres

# A quorum queue whose node is killed within moments of its declaration is without a leader for good (3.10.8).
TOPOLOGY_SETTLES_SECONDS = 3.0


@dataclass
class Stage:
    """`ballast` is where the disk of the databases can be filled, or None where it cannot."""

    arena: Arena
    node: PrivateNode
    proxy: Proxy
    dice: random.Random
    postgres: PrivatePostgres | None = None
    ballast: Path | None = None
    notes: list[str] = field(default_factory=list)

    def operate(self, *verb: str) -> None:
        """An operator's verb of the services, on the broker itself. Raises when it fails, with its words."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SAGA_")}
        environment = kept | self.arena.environment | {"SAGA_AMQP_URL": self.arena.url}
        command = [sys.executable, "-m", "services", *verb]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(verb)}: {done.stderr[-500:]}")

    def control(self, *arguments: str) -> str:
        """A command of the broker's own tool, on the private node. Raises when it fails, with its words."""
        ports = json.loads((self.node.directory / "node.json").read_text())["ports"]
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("RABBITMQ_", "ERL_"))},
            "HOME": str(self.node.directory / "home"),  # the cookie
            "ERL_EPMD_PORT": str(ports["epmd"]),
            "RABBITMQ_CONF_ENV_FILE": str(self.node.directory / "rabbitmq-env.conf"),
        }
        command = [str(find_control()), "-n", self.node.node, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {arguments[0]}: {(done.stdout + done.stderr)[-500:]}")
        return done.stdout


def find_control() -> Path:
    """Beside the server: the wrapper on the PATH insists on another user."""
    return find_server().with_name("rabbitmqctl")


class Fault(Protocol):
    """A small fault. Begun, it lasts until it is ended; ended, everything it touched works again."""

    def start(self, stage: Stage) -> None: ...

    def stop(self, stage: Stage) -> None: ...
