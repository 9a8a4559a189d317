"""A password of the broker changed under a monitor: read again from its file, or the monitor ends and says why."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
import termios
import threading
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest

from tests.support.free_port import free_port
from tests.support.topology import declare_topology_at
from tests.support.workers import ROOT, environment, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.nemesis.management import Management
    from tests.support.brokers import Broker
    from tests.support.foreign_client import ForeignClient

ORDER = {"client_id": "CLIENT-123", "produit_id": "PROD-456", "quantite": 2, "montant": 99.99}
_STYLE = re.compile(r"\x1b\[[0-9;?<=>]*[A-Za-z]")


class MonitorProcess:
    """`python -m saga_monitor`: `serve`, or the live monitor on a pipe or on a terminal of its own."""

    def __init__(self, kind: str, log: Path, **settings: Any) -> None:
        self.kind, self.url, self._log = kind, f"http://127.0.0.1:{settings['monitor_port']}", log
        self._shown = bytearray()
        ours, theirs = pty.openpty() if kind == "console" else os.pipe()
        if kind == "console":
            termios.tcsetwinsize(theirs, (30, 100))
        command = [sys.executable, "-m", "saga_monitor", *(["serve"] if kind == "serve" else [])]
        given = theirs if kind == "console" else subprocess.DEVNULL
        env = {**environment(**settings), "TERM": "xterm-256color"}
        with log.open("wb") as errors:
            # The console draws on standard error.
            published = theirs if kind == "console" else errors
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdin=given, stdout=theirs, stderr=published
            )
        os.close(theirs)
        self._reading = threading.Thread(target=self._read, args=(ours,))
        self._reading.start()

    def _read(self, descriptor: int) -> None:
        with contextlib.suppress(OSError):  # a terminal whose process has ended
            while part := os.read(descriptor, 65_536):
                self._shown += part
        os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reading.join()

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    @property
    def text(self) -> str:
        """What it has shown so far."""
        return _STYLE.sub("", self._shown.decode(errors="replace"))

    @property
    def errors(self) -> str:
        return self.text if self.kind == "console" else self._log.read_text()

    def knows(self, order: str) -> bool:
        return order in (self._page("/api/orders")[1] if self.kind == "serve" else self.text)

    def is_ready(self) -> bool:
        return self._page("/readyz")[0] == 200

    def says_that_it_is_not_live(self) -> bool:
        if self.kind == "serve":
            return self._page("/readyz")[0] == 503
        return "broker away" in self.text + self.errors

    def _page(self, path: str) -> tuple[int, str]:
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.get(self.url + path, timeout=60)
            return answer.status_code, answer.text
        return 0, ""


@contextlib.contextmanager
def monitor(
    kind: str, secret: Path, broker: Broker, management: Management, login: str
) -> Iterator[tuple[MonitorProcess, str]]:
    """A monitor that has the broker's URL from the file `secret`, and that URL with `{password}` in it."""
    user, _, password = login.partition(":")
    place = broker.authority.rpartition("@")[2]
    url = f"amqp://{user}:{{password}}@{place}/{management.vhost}"
    secret.write_text(url.format(password=password))
    settings = {
        "amqp_url_file": secret,
        "monitor_database": secret.parent / "monitor.sqlite3",
        "monitor_port": free_port(),
    }
    with MonitorProcess(kind, secret.parent / "errors", **settings) as process:
        yield process, url


def order(foreign_client: ForeignClient, commande_id: str) -> None:
    message = {
        "specversion": "1.0",
        "id": f"id-{commande_id}",
        "type": "commande.initiee",
        "source": "/clients/dehors",
    }
    data = {"commande_id": commande_id, **ORDER}
    assert foreign_client.publish("client.events", "commande.initiee", {**message, "data": data})


@pytest.mark.parametrize("kind", ["serve", "pipe", "console"])
def test_a_monitor_takes_the_new_password_from_its_file(
    kind: str, broker: Broker, management: Management, amqp_url: str, foreign_client: ForeignClient, tmp_path: Path
) -> None:
    declare_topology_at(amqp_url)
    secret = tmp_path / "url"
    with management.identity(read=".*") as login, monitor(kind, secret, broker, management, login) as (live, url):
        order(foreign_client, "CMD-BEFORE")
        until(lambda: live.knows("CMD-BEFORE"), "it reads")
        management.set_password(login.partition(":")[0], "neu-4711")
        management.close_connections("monitor")
        until(live.says_that_it_is_not_live, "it says so")
        secret.write_text(url.format(password="neu-4711") + "\n")
        order(foreign_client, "CMD-AFTER")
        until(lambda: live.knows("CMD-AFTER"), "it reads on")
        if kind == "serve":
            until(live.is_ready, "it is ready again")
        assert live.exit_code is None
        assert "4711" not in live.text + live.errors


@pytest.mark.parametrize("kind", ["serve", "pipe", "console"])
def test_a_monitor_whose_password_stays_refused_ends_and_says_why(
    kind: str, broker: Broker, management: Management, amqp_url: str, foreign_client: ForeignClient, tmp_path: Path
) -> None:
    declare_topology_at(amqp_url)
    secret = tmp_path / "url"
    with management.identity(read=".*") as login, monitor(kind, secret, broker, management, login) as (live, _):
        order(foreign_client, "CMD-BEFORE")
        until(lambda: live.knows("CMD-BEFORE"), "it reads")
        management.set_password(login.partition(":")[0], "neu-4711")
        management.close_connections("monitor")
        until(live.says_that_it_is_not_live, "it says so")
        until(lambda: live.exit_code is not None, "it ends", within_seconds=150)
        assert live.exit_code == 2
        last = live.errors.splitlines()[-1]
        assert "saga_monitor: SAGA_AMQP_URL, " in last
        assert "refused for 60 s" in last
        assert "Traceback" not in live.text + live.errors
