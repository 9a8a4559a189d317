"""A private PostgreSQL: the installed server on a free loopback port, with all its files in one folder."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from scripts.probes import HOST, birth, port_is_free

if TYPE_CHECKING:
    from collections.abc import Iterator

# Next to the ports of the private RabbitMQ, below the ephemeral range.
PORTS = range(24000, 26000)
USER = "saga"
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "60",
    # A killed process loses nothing that it has written to the kernel; only a power cut of the machine would.
    "fsync": "off",
    "shared_buffers": "32MB",
}


class NoPostgresError(Exception):
    """No PostgreSQL server can be started; the text is one sentence for a person."""


def find_program(name: str) -> Path:
    """The path of a program of the installed server; Debian keeps them off the PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if debian:
        return debian[-1]
    if on_path := shutil.which(name):
        return Path(on_path)
    raise NoPostgresError("No PostgreSQL server is installed: run 'apt-get install postgresql' first.")


class PrivatePostgres:
    """One cluster in `folder`. Its data stays when the server is stopped or killed."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._settings = SETTINGS | settings
        self._locales = _french_locale(folder) if "fr" in settings.get("lc_messages", "") else {}
        self._data = folder / "data"
        self._password = secrets.token_hex(12)
        self._port = next(port for port in random.sample(PORTS, len(PORTS)) if port_is_free(port))
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def password(self) -> str:
        return self._password

    @property
    def port(self) -> int:
        return self._port

    @property
    def pid(self) -> int:
        """Of the running server. Raises NoPostgresError when there is none."""
        if self._server is None:
            raise NoPostgresError("This PostgreSQL is not running.")
        return self._server.pid

    def url(self, database: str) -> str:
        """The URL of a database. A `{service}` in its name stays for the services to replace."""
        return f"postgresql://{USER}:{self._password}@{HOST}:{self._port}/{database}"

    def create(self, database: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(database)))

    def change_password(self, database: str, password: str) -> None:
        """Change the user's password and close the connections to `database`."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            role, secret = psycopg.sql.Identifier(USER), psycopg.sql.Literal(password)
            connection.execute(psycopg.sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, secret))
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,)
            )

    def start(self, timeout_seconds: float = 60) -> None:
        """Start the server and wait until it accepts a connection. Raises NoPostgresError."""
        if not self._data.exists():
            self._initialise()
        command = [str(find_program("postgres")), "-D", str(self._data), "-p", str(self._port)]
        command += [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=os.environ | self._locales,
                **unprivileged(),
            )
        self._await(time.monotonic() + timeout_seconds)

    def stop(self) -> None:
        """Stop cleanly and cut the sessions: nothing is left to recover."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(30)
            self._server = None

    def kill(self) -> None:
        """SIGKILL the server and all its processes at once."""
        if self._server is None:
            return
        children = [(pid, birth(pid)) for pid in _children_of(self._server.pid)]
        self._server.kill()
        self._server.wait(10)
        for pid, born in children:
            if born is not None and birth(pid) == born:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        while any(birth(pid) == born for pid, born in children if born is not None):
            time.sleep(0.02)
        self._server = None

    def _initialise(self) -> None:
        secret = self._folder / "password"
        secret.write_text(self._password)
        if "user" in (who := unprivileged()):
            for path in (self._folder, secret):
                shutil.chown(path, who["user"], who["group"])
        command = [str(find_program("initdb")), "-D", str(self._data), "-U", USER, f"--pwfile={secret}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        made = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self._folder, **who)
        if made.returncode:
            raise NoPostgresError(f"initdb failed: {made.stderr[-500:]}")

    def _await(self, deadline: float) -> None:
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                gone = self._server is None or self._server.poll() is not None
                if gone or time.monotonic() > deadline:
                    log = (self._folder / "log").read_text(errors="replace")[-500:]
                    raise NoPostgresError(f"PostgreSQL did not start: {log}") from error
                time.sleep(0.1)


def unprivileged() -> dict[str, Any]:
    """The user to run as: PostgreSQL refuses root, so its own user, or nobody. Empty when not root."""
    if os.geteuid():
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return {}


def _french_locale(folder: Path) -> dict[str, str]:
    """Compile the locale for French messages into `folder`. Returns the variables that make the server find it."""
    locales = folder / "locales"
    locales.mkdir()
    command = ["localedef", "-i", "fr_FR", "-f", "UTF-8", str(locales / "fr_FR.UTF-8")]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if not (locales / "fr_FR.UTF-8").exists():
        raise NoPostgresError(f"localedef made no French locale: {made.stderr[-500:]}")
    return {"LOCPATH": str(locales)}


def _children_of(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(stat.parent.name))
    return found


@contextlib.contextmanager
def private_postgres(folder: Path | None = None, **settings: str) -> Iterator[PrivatePostgres]:
    """A running cluster, deleted afterwards, in `folder` (its user must be able to enter it) or a temporary one.

    `settings`: further server settings.
    """
    with tempfile.TemporaryDirectory(prefix="choregraphie-pg-", dir=folder) as place:
        server = PrivatePostgres(Path(place), **settings)
        server.start()
        try:
            yield server
        finally:
            server.kill()
