"""A private RabbitMQ node: the installed server, on free loopback ports, with all its files in one folder.

Standard library only, because it runs before the virtual environment exists. Nothing of the system's RabbitMQ is
read or written: not its configuration, cookie, epmd, data or logs.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.installed_server import NodeError, find_epmd, find_server
from scripts.probes import HOST, answers, birth, port_is_free

if TYPE_CHECKING:
    from collections.abc import Iterator

# Below the ephemeral range, so that no outgoing connection takes a port while the node is stopped, and different
# from the ports of a system RabbitMQ (4369, 5672, 15672, 25672, 35672).
PORTS = range(26000, 32000)
CONFIGURATION = """\
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
log.file.level = info
vm_memory_high_watermark.absolute = 768MiB
disk_free_limit.absolute = 50MB
# The write-ahead log of quorum queues is held in memory too: 512 MiB by default.
raft.wal_max_size_bytes = 67108864
"""


class PrivateNode:
    """One node and its folder. Several of these objects may use the same folder, also in different processes."""

    def __init__(self, directory: Path, name: str = "choregraphie", settings: str = "") -> None:
        """`settings`: further lines of its configuration file."""
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,40}", name):
            raise NodeError(f"Not a node name: {name!r} (small letters, digits, - and _ only).")
        self.directory = directory.resolve()
        self.name = name
        self.node = f"{name}@localhost"
        self.allowed_ports = PORTS
        self._settings = settings
        self._record_file = self.directory / "node.json"
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self, timeout_seconds: float = 120) -> str:
        """Start the node unless it runs, wait until it speaks AMQP, and return its URL. Raises NodeError."""
        with self._lock():
            ran = self._alive("server")
            try:
                if not ran:
                    self._launch()
                self._await_answer(time.monotonic() + timeout_seconds)
            except BaseException:
                # A half-started server would be taken for a running one.
                for role in () if ran else ("server", "epmd"):
                    self._end(role, 5)
                raise
        return self.url()

    def stop(self, *, wipe: bool = False, timeout_seconds: float = 45) -> None:
        """Stop the server, then its epmd. The data stays unless `wipe`."""
        if self.directory.is_dir():
            with self._lock():
                self._end("server", timeout_seconds)
                self._end("epmd", 5)
        if wipe:
            shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL the server, as a power cut would end it."""
        self._end("server", 0)

    def running(self) -> bool:
        return self._alive("server") and answers(self._port("amqp"), amqp=True)

    def url(self) -> str:
        return f"amqp://guest:guest@{HOST}:{self._port('amqp')}/"

    def management(self) -> str:
        return f"http://guest:guest@{HOST}:{self._port('management')}"

    def status(self) -> dict[str, Any]:
        running = self.running()
        return {
            "running": running,
            "url": self.url() if running else None,
            "management": self.management() if running else None,
            "pid": self._record()["server"][0] if self._alive("server") else None,
            "node": self.node,
            "dir": str(self.directory),
        }

    def _launch(self) -> None:
        server, epmd = find_server(), find_epmd()
        ports = self._choose_ports()
        self._write_configuration(ports["management"])
        env = self._environment(ports)
        if not self._alive("epmd"):
            command = [str(epmd), "-address", HOST, "-port", str(ports["epmd"])]
            self._spawn("epmd", command, env)
        # With 'detached' the script execs the Erlang machine instead of waiting for it, so the recorded pid is the
        # server's own.
        self._spawn("server", [str(server)], {**env, "detached": "1"})

    def _write_configuration(self, management_port: int) -> None:
        here = self.directory
        for folder in ("home", "data", "log", "conf.d"):
            (here / folder).mkdir(parents=True, exist_ok=True)
        files = {
            "rabbitmq.conf": CONFIGURATION.format(management=management_port) + self._settings,
            "advanced.config": "[].\n",
            "enabled_plugins": "[rabbitmq_management].\n",
            "rabbitmq-env.conf": "",  # must exist, or the server reads the system's
        }
        for name, text in files.items():
            (here / name).write_text(text)

    def _environment(self, ports: dict[str, int]) -> dict[str, str]:
        """The variables that keep the system's configuration, cookie, data and ports out."""
        here = self.directory
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RABBITMQ_", "ERL_"))}
        kept.pop("NOTIFY_SOCKET", None)
        return kept | {
            "HOME": str(here / "home"),  # where the Erlang cookie is
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_NODE_PORT": str(ports["amqp"]),
            "RABBITMQ_DIST_PORT": str(ports["dist"]),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(ports["epmd"]),
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_CRASH_DUMP": str(here / "log" / "erl_crash.dump"),
            "RABBITMQ_MNESIA_BASE": str(here / "data"),
            "RABBITMQ_LOG_BASE": str(here / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(here / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(here / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(here / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(here / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(here / "rabbitmq-env.conf"),
            "RABBITMQ_PID_FILE": str(here / "data" / "server.pid"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(here / "data" / "config"),
        }

    def _choose_ports(self) -> dict[str, int]:
        """The ports of the last start where they are free, else new ones."""
        ports: dict[str, int] = dict(self._record().get("ports", {}))
        for use in ("amqp", "management", "dist", "epmd"):
            ours = use == "epmd" and self._alive("epmd")
            if ours or (use in ports and port_is_free(ports[use], patience_seconds=5)):
                continue
            ports[use] = next(
                port
                for port in random.sample(self.allowed_ports, len(self.allowed_ports))
                if port not in ports.values() and port_is_free(port)
            )
        self._note(ports=ports)
        return ports

    def _spawn(self, role: str, command: list[str], env: dict[str, str]) -> None:
        with (self.directory / "log" / f"{role}.out").open("ab") as out:
            child = subprocess.Popen(  # noqa: S603 - a fixed path and our own arguments
                command,
                env=env,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # it outlives this script, and a Ctrl-C in the terminal does not reach it
            )
        self._children.append(child)
        self._note(**{role: [child.pid, birth(child.pid)]})

    def _await_answer(self, deadline: float) -> None:
        while not (answers(self._port("amqp"), amqp=True) and answers(self._port("management"), amqp=False)):
            if not self._alive("server"):
                raise NodeError(f"The private RabbitMQ ended while starting: see {self.directory / 'log'}.")
            if time.monotonic() > deadline:
                raise NodeError(f"The private RabbitMQ does not answer: see {self.directory / 'log'}.")
            time.sleep(0.2)

    def _end(self, role: str, patience_seconds: float) -> None:
        """SIGTERM the recorded process, wait, then SIGKILL it. Never a process found by name."""
        deadline = time.monotonic() + patience_seconds
        if self._alive(role) and patience_seconds:
            os.kill(self._record()[role][0], signal.SIGTERM)
        while self._alive(role) and time.monotonic() < deadline:
            time.sleep(0.1)
        if self._alive(role):
            os.kill(self._record()[role][0], signal.SIGKILL)
        while self._alive(role):
            time.sleep(0.05)
        # A process can look dead while its last threads still end: reap it if it is our child.
        for child in self._children:
            if child.pid == (self._record().get(role) or [0])[0]:
                child.wait()

    def _alive(self, role: str) -> bool:
        pid, born = self._record().get(role) or (0, None)
        alive = bool(pid) and born is not None and birth(pid) == born
        # After the check above: a child that ended in between must still be here to be reaped.
        self._children = [child for child in self._children if child.poll() is None]
        return alive

    def _port(self, use: str) -> int:
        return int(self._record().get("ports", {}).get(use, 0))

    def _record(self) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads(self._record_file.read_text())
        except FileNotFoundError:
            return {}
        return record

    def _note(self, **changes: Any) -> None:
        fresh = self._record_file.with_suffix(".new")
        fresh.write_text(json.dumps(self._record() | changes))
        fresh.replace(self._record_file)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Serialises start and stop: two starts at once must not make two servers in one folder."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
