"""The demonstration on a terminal: the console, its keys, and the restored terminal settings."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING

import pytest

from scripts.demonstration.scenarios import ALL, SCENARIOS
from tests.scripts.conftest import environ
from tests.scripts.test_demo import DEMO, assert_nothing_is_left, processes_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.nemesis.management import Management

ALTERNATE_SCREEN, NORMAL_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"
PATIENCE_SECONDS = 240


class Window:
    """The demonstration on its own terminal, 150 columns wide."""

    def __init__(self, checkout: Path, **settings: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 150, 0, 0))
        self.before = termios.tcgetattr(self._ours)
        self.shown = b""
        self.running = subprocess.Popen(
            ["setsid", "--ctty", *DEMO],
            cwd=checkout,
            env=environ(TERM="xterm-256color", **settings),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)

    def shows_its_console(self) -> None:
        """Wait until the console shows an order."""
        end = time.monotonic() + PATIENCE_SECONDS
        while b"CMD-CREEE" not in self.shown.partition(ALTERNATE_SCREEN)[2]:
            assert time.monotonic() < end, self.shown
            assert self._read(), self.shown

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def leave(self) -> tuple[int, str]:
        """Wait for the end. Returns the exit code and the output after the console."""
        while self._read():
            pass
        assert termios.tcgetattr(self._ours) == self.before
        code = self.running.wait(PATIENCE_SECONDS)
        return code, self.shown.rpartition(NORMAL_SCREEN)[2].decode()

    def hang_up(self) -> int:
        os.close(self._ours)
        return self.running.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        self.running.kill()
        self.running.wait()
        with contextlib.suppress(OSError):
            os.close(self._ours)

    def _read(self) -> bytes:
        """Read more output; empty when the other end is closed."""
        assert select.select([self._ours], [], [], PATIENCE_SECONDS)[0], self.shown
        try:
            more = os.read(self._ours, 65536)
        except OSError:
            # Linux reports EIO when the other end is closed.
            return b""
        self.shown += more
        return more


@pytest.fixture
def window(checkout: Path, amqp_url: str) -> Iterator[Window]:
    opened = Window(checkout, SAGA_AMQP_URL=amqp_url)
    yield opened
    opened.close()


@pytest.mark.parametrize("key", [pytest.param(b"q", id="q"), pytest.param(b"\x03", id="Ctrl-C")])
def test_quitting_the_console_ends_the_demonstration(
    key: bytes, window: Window, checkout: Path, management: Management
) -> None:
    window.shows_its_console()
    window.type(key)
    code, output = window.leave()
    assert code == 128 + signal.SIGINT, output
    assert "orders at once" in output
    assert "Nothing is left running." in output
    assert "demo:" not in output
    assert_nothing_is_left(checkout, management)


def test_sigterm_restores_the_screen(window: Window, checkout: Path, management: Management) -> None:
    window.shows_its_console()
    window.running.send_signal(signal.SIGTERM)
    code, output = window.leave()
    assert code == 128 + signal.SIGTERM, output
    assert "Nothing is left running." in output
    assert_nothing_is_left(checkout, management)


def test_a_closed_terminal_leaves_nothing_running(window: Window, checkout: Path, management: Management) -> None:
    window.shows_its_console()
    window.hang_up()
    assert_nothing_is_left(checkout, management)


@pytest.mark.timeout(600)
def test_without_a_given_broker_everything_is_shown(checkout: Path) -> None:
    window = Window(checkout)
    try:
        code, output = window.leave()
    finally:
        window.close()
    assert code == 0, window.shown.decode(errors="replace")
    for what in ("orders at once", "paiement is paused", "the deadline of CMD-HORS-DELAI has passed"):
        assert what in output
    for scenario in SCENARIOS:
        assert scenario.commande_id in output
    assert f"All {len(ALL)} orders ended as they should" in output
    assert f"{len(ALL)} orders, 0 lost, 0 carried out twice" in output
    console = window.shown.partition(ALTERNATE_SCREEN)[2].partition(NORMAL_SCREEN)[0].decode(errors="replace")
    for caption in ("CMD-RUPTURE: out of stock", "WORKER KILLED", "BROKER KILLED", "The broker is back"):
        assert caption in console
    assert "broker away" in console
    assert "That took" in output
    assert b"The broker answers (private)" in window.shown
    assert (list((checkout / "var").iterdir()), processes_of(checkout)) == ([], [])
