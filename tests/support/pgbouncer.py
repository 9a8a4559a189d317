"""A private PgBouncer before a private PostgreSQL: the installed program on a free loopback port."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.nemesis.private_postgres import USER, unprivileged
from scripts.probes import HOST, port_is_free

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.nemesis.private_postgres import PrivatePostgres

PORTS = range(26000, 27000)
START_SECONDS = 60.0


class NoPgBouncerError(Exception):
    """PgBouncer is not installed; the message is one sentence for a person."""


def find_pgbouncer() -> str:
    # Debian installs it in a folder that is on the PATH of root alone.
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise NoPgBouncerError("No PgBouncer is installed: run 'apt-get install pgbouncer' first.")
    return found


class PrivatePgBouncer:
    """One pooler in `folder`. `settings` are its own: `pool_mode`, `ignore_startup_parameters`, ...

    `port_of_server` among them replaces the port of the server.
    """

    def __init__(self, folder: Path, server: PrivatePostgres, **settings: str) -> None:
        self._folder = folder
        self._server = server
        self._port = next(port for port in random.sample(PORTS, len(PORTS)) if port_is_free(port))
        self._port_of_server = settings.pop("port_of_server", None)
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._password = server.password

    def url(self, database: str, user: str = USER, password: str | None = None) -> str:
        """The URL of a database through the pooler; `{service}` in its name stays for the services."""
        return f"postgresql://{user}:{password or self._server.password}@{HOST}:{self._port}/{database}"

    def start(self) -> None:
        """Start it and wait until it listens. Raises NoPgBouncerError."""
        who = unprivileged()
        self._write_users()
        (self._folder / "ini").write_text(self._configuration())
        for path in (self._folder, self._folder / "users", self._folder / "ini") if who else ():
            shutil.chown(path, who["user"], who["group"])
        with (self._folder / "log").open("ab") as log:
            command = [find_pgbouncer(), str(self._folder / "ini")]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder, **who
            )
        end = time.monotonic() + START_SECONDS
        while port_is_free(self._port):
            if self._process.poll() is not None or time.monotonic() > end:
                raise NoPgBouncerError(f"PgBouncer did not start: {self.log()[-500:]}")
            time.sleep(0.05)

    def change_password(self, password: str) -> None:
        """Change the password of the user; open connections stay."""
        self._password = password
        self._write_users()
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def _write_users(self) -> None:
        (self._folder / "users").write_text(f'"{USER}" "{self._password}"\n')

    def stop(self) -> None:
        """Kill it; the server's sessions end with it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def _configuration(self) -> str:
        settings = {
            "listen_addr": HOST,
            "listen_port": str(self._port),
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": str(self._folder / "users"),
            **self._settings,
        }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        server = f"* = host={HOST} port={self._port_of_server or self._server.port}"
        return "\n".join(["[databases]", server, "[pgbouncer]", *lines, ""])


@contextlib.contextmanager
def private_pgbouncer(server: PrivatePostgres, **settings: str) -> Iterator[PrivatePgBouncer]:
    """Yield a running pooler before `server`, and stop it afterwards."""
    with tempfile.TemporaryDirectory(prefix="choregraphie-pgbouncer-") as place:
        pooler = PrivatePgBouncer(Path(place), server, **settings)
        pooler.start()
        try:
            yield pooler
        finally:
            pooler.stop()
