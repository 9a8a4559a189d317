"""A broker node that the faults can break: the installed server, or a container of another version."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Protocol

from scripts.installed_server import NodeError, find_server
from scripts.private_node import PORTS, PrivateNode
from scripts.probes import HOST, answers, port_is_free

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

IMAGE = "rabbitmq:4-management"
USER = "chaos"
STOP_SECONDS, START_SECONDS = 45, 120


class Node(Protocol):
    """A broker of one node. `password` is that of USER, who exists again after a wipe."""

    password: str

    def port(self, use: str) -> int:
        """The port on this machine for `amqp` or `management`."""

    def start(self) -> object:
        """Start it on its data and wait until it answers. Raises NodeError."""

    def stop(self) -> None:
        """Stop it cleanly; its data stays."""

    def kill(self) -> None:
        """SIGKILL; its data stays."""

    def wipe(self) -> None:
        """SIGKILL, then delete its data."""

    def freeze(self) -> None:
        """Suspend all its processes; connections stay open and silent."""

    def thaw(self) -> None:
        """Resume its processes."""

    def control(self, *arguments: str) -> str:
        """Run a `rabbitmqctl` command. Raises RuntimeError with its output."""


class InstalledNode(PrivateNode):
    """The RabbitMQ server installed on this machine."""

    def __init__(self, folder: Path, name: str = "chaos", password: str = "") -> None:
        super().__init__(folder, f"{name}-{os.getpid()}")
        self.password = password or secrets.token_hex(12)
        configured = folder / "conf.d" / "10-user.conf"
        configured.parent.mkdir(parents=True)
        configured.write_text(f"default_user = {USER}\ndefault_pass = {self.password}\n")

    def port(self, use: str) -> int:
        return self._port(use)

    def wipe(self) -> None:
        self.kill()
        shutil.rmtree(self.directory / "data")

    def freeze(self) -> None:
        os.kill(self.status()["pid"], signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._record()["server"][0], signal.SIGCONT)

    def control(self, *arguments: str) -> str:
        env = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("RABBITMQ_", "ERL_"))},
            "HOME": str(self.directory / "home"),  # where the Erlang cookie is
            "ERL_EPMD_PORT": str(self.port("epmd")),
            "RABBITMQ_CONF_ENV_FILE": str(self.directory / "rabbitmq-env.conf"),
        }
        # The copy beside the server: the wrapper on the PATH insists on another user.
        tool = find_server().with_name("rabbitmqctl")
        return _run([str(tool), "-n", self.node, *arguments], arguments[0], env)


def container_image(environ: Mapping[str, str] = os.environ) -> str:
    """The image of a broker that runs in a container: SAGA_TEST_IMAGE, or IMAGE."""
    return environ.get("SAGA_TEST_IMAGE") or IMAGE


class ContainerNode:
    """The image of the container tests, in a Docker engine."""

    def __init__(self) -> None:
        self.password = secrets.token_hex(12)
        self._name = f"chaos-{os.getpid()}"
        free = [port for port in random.sample(PORTS, 50) if port_is_free(port)]
        self._ports = {"amqp": free[0], "management": free[1]}
        self._create()

    def port(self, use: str) -> int:
        return self._ports[use]

    def start(self) -> None:
        _docker("start", self._name)
        deadline = time.monotonic() + START_SECONDS
        # The engine's own proxy accepts connections before the broker does.
        while not (answers(self._ports["amqp"], amqp=True) and answers(self._ports["management"], amqp=False)):
            if time.monotonic() > deadline:
                raise NodeError(
                    f"The broker in its container does not answer: {_docker('logs', self._name)[-500:]}"
                )
            time.sleep(0.3)

    def stop(self) -> None:
        _docker("stop", "--time", str(STOP_SECONDS), self._name)

    def kill(self) -> None:
        with contextlib.suppress(RuntimeError):  # it does not run
            _docker("kill", self._name)

    def wipe(self) -> None:
        self.remove()
        self._create()

    def freeze(self) -> None:
        _docker("pause", self._name)

    def thaw(self) -> None:
        _docker("unpause", self._name)

    def control(self, *arguments: str) -> str:
        owner = ("--user", "rabbitmq", "--env", "HOME=/var/lib/rabbitmq")
        return _docker("exec", *owner, self._name, "rabbitmqctl", *arguments)

    def remove(self) -> None:
        """Kill it and delete its volume."""
        _docker("rm", "--force", "--volumes", self._name)

    def _create(self) -> None:
        # RabbitMQ finds its data by the name of its host, so that must not change.
        arguments = ["--name", self._name, "--hostname", "chaos"]
        for use, inside in (("amqp", 5672), ("management", 15672)):
            arguments += ["--publish", f"{HOST}:{self._ports[use]}:{inside}"]
        for name, value in (("USER", USER), ("PASS", self.password)):
            arguments += ["--env", f"RABBITMQ_DEFAULT_{name}={value}"]
        _docker("create", *arguments, container_image())


@contextlib.contextmanager
def installed(folder: Path) -> Iterator[Node]:
    node = InstalledNode(folder)
    try:
        node.start()
        yield node
    finally:
        node.stop()


@contextlib.contextmanager
def in_container() -> Iterator[Node]:
    """Raises NodeError when there is no Docker engine or no such image."""
    try:
        node = ContainerNode()
    except (OSError, RuntimeError) as error:
        raise NodeError(f"No container for the broker (is DOCKER_HOST right?): {error}") from error
    try:
        node.start()
        yield node
    finally:
        node.remove()


def _docker(*arguments: str) -> str:
    return _run(["docker", *arguments], arguments[0], dict(os.environ))


def _run(command: list[str], verb: str, env: dict[str, str]) -> str:
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=90, check=False)
    if result.returncode:
        raise RuntimeError(f"{verb}: {(result.stdout + result.stderr)[-500:]}")
    return result.stdout
