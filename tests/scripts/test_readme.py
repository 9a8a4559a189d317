"""The README's walk-through works as printed, in three terminals."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.private_node import PrivateNode
from tests.scripts.conftest import ROOT, environ

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
WALK = dict(re.findall(r"<!-- walk: ([a-z ]+) -->\n```sh\n(.*?)```", TEXT, re.DOTALL))


# On a busy machine the seconds that the README gives an order are too few.
PATIENT_SLEEP = """\
sleep() {
    command sleep $(($1 * 3))
    for _ in $(seq 60); do
        python -m saga_monitor report --json | python -c "$IS_SETTLED" 2>/dev/null && return
    done
}
IS_SETTLED='
import json, sys
sagas = json.load(sys.stdin)["sagas"]
sys.exit(any(sagas[name] for name in ("new", "running", "failed", "compensating")))
'
"""


class Terminal:
    """A shell that has run the first two lines of the walk-through."""

    def __init__(self, checkout: Path) -> None:
        self._shell = subprocess.Popen(
            ["bash"],
            cwd=checkout,
            env=environ(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._shown: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.type(WALK["every terminal"])

    @property
    def shown(self) -> str:
        return "".join(self._shown)

    def type(self, block: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(block)
        self._shell.stdin.flush()

    def shows(self, what: str, times: int = 1) -> None:
        """Wait until the text was shown this often. Raises AssertionError with the output when it was not."""
        deadline = time.monotonic() + 120
        while self.shown.count(what) < times:
            assert time.monotonic() < deadline, self.shown
            time.sleep(0.05)

    def leave(self) -> str:
        """Wait for the end. Returns the output."""
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait(240)
        self._reader.join(60)
        return self.shown

    def interrupt(self) -> None:
        """Send Ctrl-C."""
        os.killpg(self._shell.pid, signal.SIGINT)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait()
        for pipe in (self._shell.stdin, self._shell.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self._shell.stdout is not None
        self._shown.extend(iter(self._shell.stdout.readline, ""))


@pytest.fixture
def terminals(checkout: Path) -> Iterator[list[Terminal]]:
    three = [Terminal(checkout) for _ in range(3)]
    yield three
    for terminal in three:
        terminal.kill()
    PrivateNode(checkout / "var" / "rabbitmq" / "choregraphie").stop()


def test_the_walk_through_works_as_printed(terminals: list[Terminal], checkout: Path) -> None:
    workers, monitor, customer = terminals
    workers.type(WALK["workers"] + "echo they are ready\n")
    workers.shows("they are ready")
    monitor.type(WALK["monitor"])
    customer.type(PATIENT_SLEEP + WALK["customer"])
    seen = customer.leave()
    first, _, second = seen.partition("COMPLETED")
    assert first, seen
    assert "COMPENSATED" in second, seen
    assert len(re.findall(r"^CMD-[0-9A-F]{16}$", seen, re.MULTILINE)) == 101, seen
    assert "whole order" in seen
    assert "paiement: comptes" in seen
    monitor.shows("\tCOMPLETED\tcommande.creee\t", times=101)
    monitor.shows("\tCOMPENSATED\t")
    monitor.interrupt()
    workers.type(WALK["end"])
    assert "Traceback" not in workers.leave() + monitor.leave() + seen
    assert not PrivateNode(checkout / "var" / "rabbitmq" / "choregraphie").running()


def test_the_walk_through_has_all_its_parts() -> None:
    assert list(WALK) == ["every terminal", "workers", "monitor", "customer", "end"]
