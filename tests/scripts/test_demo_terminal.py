"""The demonstration on a terminal: what a person sees and types, and the terminal as it was before."""

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

SCREEN_TAKEN, SCREEN_GIVEN_BACK = b"\x1b[?1049h", b"\x1b[?1049l"
PATIENCE_SECONDS = 240


class Window:
    """The demonstration on a terminal of its own, 150 columns wide."""

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
        """Wait until the console has the screen, and an order on it."""
        end = time.monotonic() + PATIENCE_SECONDS
        while b"CMD-CREEE" not in self.shown.partition(SCREEN_TAKEN)[2]:
            assert time.monotonic() < end, self.shown
            assert self._read(), self.shown

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def leave(self) -> tuple[int, str]:
        """Its exit code, and what it has shown since the console gave the screen back."""
        while self._read():
            pass
        assert termios.tcgetattr(self._ours) == self.before
        code = self.running.wait(PATIENCE_SECONDS)
        return code, self.shown.rpartition(SCREEN_GIVEN_BACK)[2].decode()

    def hang_up(self) -> int:
        os.close(self._ours)
        return self.running.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        self.running.kill()
        self.running.wait()
        with contextlib.suppress(OSError):
            os.close(self._ours)

    def _read(self) -> bytes:
        """More of what is shown; nothing when everybody has left."""
        assert select.select([self._ours], [], [], PATIENCE_SECONDS)[0], self.shown
        try:
            more = os.read(self._ours, 65536)
        except OSError:
            # Linux says so when the other end is closed.
            return b""
        self.shown += more
        return more


@pytest.fixture
def window(checkout: Path, amqp_url: str) -> Iterator[Window]:
    opened = Window(checkout, SAGA_AMQP_URL=amqp_url)
    yield opened
    opened.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("key", [pytest.param(b"q", id="q"), pytest.param(b"\x03", id="Ctrl-C")])
def test_leaving_the_console_ends_all_of_it(
    key: bytes, window: Window, checkout: Path, management: Management
) -> None:
    window.shows_its_console()
    window.type(key)
    code, told = window.leave()
    assert code == 128 + signal.SIGINT, told
    assert "orders at once" in told
    assert "Nothing is left running." in told
    assert "demo:" not in told
    assert_nothing_is_left(checkout, management)


@pytest.mark.timeout(300)
def test_asked_to_end_it_gives_the_screen_back(window: Window, checkout: Path, management: Management) -> None:
    window.shows_its_console()
    window.running.send_signal(signal.SIGTERM)
    code, told = window.leave()
    assert code == 128 + signal.SIGTERM, told
    assert "Nothing is left running." in told
    assert_nothing_is_left(checkout, management)


@pytest.mark.timeout(300)
def test_a_terminal_that_is_closed_leaves_nothing(window: Window, checkout: Path, management: Management) -> None:
    window.shows_its_console()
    window.hang_up()
    assert_nothing_is_left(checkout, management)


@pytest.mark.timeout(600)
def test_a_person_without_a_broker_sees_all_of_it(checkout: Path) -> None:
    window = Window(checkout)
    try:
        code, told = window.leave()
    finally:
        window.close()
    assert code == 0, window.shown.decode(errors="replace")
    for what in ("orders at once", "paiement is paused", "the deadline of CMD-HORS-DELAI has passed"):
        assert what in told
    for scenario in SCENARIOS:
        assert scenario.commande_id in told
    assert f"All {len(ALL)} orders ended as they should" in told
    assert f"{len(ALL)} orders, 0 lost, 0 carried out twice" in told
    console = window.shown.partition(SCREEN_TAKEN)[2].partition(SCREEN_GIVEN_BACK)[0].decode(errors="replace")
    for caption in ("CMD-RUPTURE: out of stock", "WORKER KILLED", "BROKER KILLED", "The broker is back"):
        assert caption in console
    assert "broker away" in console
    assert "That took" in told
    assert b"The broker answers (private)" in window.shown
    assert (list((checkout / "var").iterdir()), processes_of(checkout)) == ([], [])
