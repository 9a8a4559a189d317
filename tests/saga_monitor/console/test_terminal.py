"""The console in a real terminal: tmux, real keys, and assertions on the screen."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.saga_monitor.memory_stream import CONFIRMED, HELD, SCENARIOS
from tests.saga_monitor.test_live import ROOT, channel, environment, locked, publish, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["channel", "environment"]


class Terminal:
    """A private tmux server with one window, in which a command runs; its exit code is printed after it."""

    def __init__(self, width: int, height: int, environment: dict[str, str]) -> None:
        self._server = f"test-{uuid.uuid4().hex[:8]}"
        # The terminal from which the tests were started has another size.
        others = ("TMUX", "COLUMNS", "LINES")
        self._environment = {key: value for key, value in environment.items() if not key.startswith(others)}
        self._run("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), "sleep 600")
        self._run("set", "-g", "remain-on-exit", "on")

    def run(self, *arguments: str) -> None:
        command = shlex.join([sys.executable, "-m", "saga_monitor", *arguments])
        self._run("respawn-pane", "-k", "-c", str(ROOT), f"{command}; echo left with $?; sleep 600")

    def press(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def type(self, text: str) -> None:
        self._run("send-keys", "-l", text)

    def resize(self, width: int, height: int) -> None:
        self._run("resize-window", "-x", str(width), "-y", str(height))

    def screen(self, *options: str) -> str:
        return self._run("capture-pane", "-p", *options)

    def awaits(self, *wanted: str, seconds: float = 90) -> str:
        """Wait until the screen shows all of `wanted`; returns it."""
        end = time.monotonic() + seconds
        while not all(text in (shown := self.screen()) for text in wanted):
            assert time.monotonic() < end, f"waited in vain for {wanted}:\n{shown}"
            time.sleep(0.1)
        return shown

    def close(self) -> None:
        self._run("kill-server")

    def _run(self, *arguments: str) -> str:
        ran = subprocess.run(
            ["tmux", "-L", self._server, *arguments],
            env=self._environment | {"LC_ALL": "C.UTF-8", "TERM": "xterm-256color"},
            capture_output=True,
            check=True,
            timeout=90,
        )
        return ran.stdout.decode()


@contextmanager
def terminal(environment: dict[str, str], width: int = 80, height: int = 24) -> Iterator[Terminal]:
    opened = Terminal(width, height, environment)
    try:
        yield opened
    finally:
        opened.close()


def test_a_person_finds_an_order_and_reads_its_story(environment: dict[str, str], channel: Any) -> None:
    for number, lines in enumerate(SCENARIOS.values()):
        publish(channel, f"CMD-{number}", lines)
    publish(channel, "CMD-LATE", HELD)
    with terminal(environment) as window:
        window.run()
        shown = window.awaits("live · 1 in flight of 8 orders", "STUCK CMD-LATE waits for paiement.effectue")
        assert max(map(len, shown.splitlines())) <= 80
        assert "CMD-LATE" in next(line for line in shown.splitlines() if "✓…··" in line)
        window.press("f")
        window.awaits("in flight orders · 1 shown")
        window.press("Escape")
        window.awaits("all orders · 8 shown")
        window.press("/")
        window.type("CMD-5")
        window.awaits("orders found by CMD-5 · 1 shown")
        window.press("Enter")
        window.awaits("q Quit")
        window.press("Enter")
        scenario = window.awaits("commande.initiee", "rectificatif")
        assert (
            scenario.index("stock.reserve")
            < scenario.index("commande.creee")
            < scenario.index("paiement.rembourse")
        )
        window.press("Escape")
        window.awaits("CMD-5 · 1 shown")


def test_it_pauses_helps_resizes_and_leaves_its_totals(environment: dict[str, str], channel: Any) -> None:
    publish(channel, "CMD-LATE", HELD)
    with terminal(environment) as window:
        window.run()
        window.awaits("live · 1 in flight of 1 orders", "STUCK CMD-LATE")
        window.press("?")
        window.awaits("copy the order's key", "↩ undone")
        window.press("x")
        until(lambda: "copy the order's key" not in window.screen())
        window.press("Space")
        window.awaits("PAUSED")
        publish(channel, "CMD-NEW", CONFIRMED)
        window.press("Escape")
        window.awaits("all orders · 2 shown", "CMD-NEW")
        window.resize(130, 40)
        end = time.monotonic() + 90
        while max(map(len, window.screen().splitlines())) <= 100:
            assert time.monotonic() < end, window.screen()
        window.press("q")
        left = window.awaits("left with 0")
    assert "2 orders, 1 in flight" in left
    assert "COMPLETED 1" in left
    assert "STUCK 1" in left


def test_the_broker_away_is_said_and_no_colour_is_used(environment: dict[str, str]) -> None:
    nowhere = {"SAGA_AMQP_URL": "amqp://guest:guest@127.0.0.1:1/", "NO_COLOR": "1"}
    with terminal(environment | nowhere, 90, 12) as window:
        window.run()
        window.awaits("broker away", "next try in")
        codes = re.findall(r"\x1b\[([0-9;]*)m", window.screen("-e"))
        assert not [code for code in codes if re.search(r"(^|;)(3[0-8]|4[0-8]|9[0-7]|10[0-7])(;|$)", code)]
        window.press("C-c")
        window.awaits("left with 0", "0 orders, 0 in flight")


def test_a_file_locked_for_long_is_said_and_the_screen_stays(environment: dict[str, str], channel: Any) -> None:
    publish(channel, "CMD-1", HELD)
    with terminal(environment) as window:
        window.run()
        window.awaits("live · 1 in flight of 1 orders")
        with locked(environment):
            publish(channel, "CMD-2", HELD)
            window.awaits("database trouble", "1 in flight of 1 orders")
        window.awaits("live · 2 in flight of 2 orders")
        window.press("q")
        window.awaits("left with 0")


def test_a_console_beside_a_writer_says_that_it_follows(environment: dict[str, str], channel: Any) -> None:
    publish(channel, "CMD-1", HELD)
    with terminal(environment) as writer, terminal(environment, 120, 40) as reader:
        writer.run()
        writer.awaits("live · 1 in flight of 1 orders")
        reader.run()
        reader.awaits("following · 1 in flight of 1 orders", "another monitor writes this file")
        reader.press("a")
        reader.awaits("following · 3 anomalies", "CMD-1 waits for paiement.effectue")
        writer.press("q")
        writer.awaits("left with 0")
        reader.awaits("live · 3 anomalies")


def test_a_bad_setting_is_one_line_and_no_screen(environment: dict[str, str]) -> None:
    with terminal(environment | {"SAGA_MONITOR_DATABASE": "/dev/null/x"}) as window:
        window.run()
        shown = window.awaits("left with 2")
        assert len(shown.split("left with 2")[0].splitlines()) <= 2
        assert "Traceback" not in shown
