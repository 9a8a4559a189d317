"""The demonstration can end each of its processes, whatever interrupts it."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from scripts.demonstration import signals
from scripts.demonstration.processes import DemoError, Processes
from tests.scripts.conftest import environ

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENDLESS = ("-c", "import time; time.sleep(600)")


@pytest.fixture
def signal_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in signals.SIGNALS}
    signals.install_handlers()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path / "log", environ())
    yield made
    made.end()


@pytest.mark.usefixtures("signal_handlers")
def test_an_interruption_during_the_start_of_a_program_does_not_lose_it(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Interrupting(subprocess.Popen[bytes]):
        """Sends the signal after the process has started and before it is recorded."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            started.append(self)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupting)
    with pytest.raises(signals.Interrupted):
        processes.run("endless", *ENDLESS)
    processes.end()
    assert started[0].poll() is not None


def test_the_error_of_a_failed_program_is_reported(processes: Processes) -> None:
    with pytest.raises(DemoError, match=r"^failing ended with 3: no such order$"):
        processes.run("failing", "-c", "import sys; print('no such order', file=sys.stderr); sys.exit(3)")


def test_a_program_that_has_ended_is_no_longer_checked(processes: Processes) -> None:
    processes.run("quick", "-c", "")
    processes.check()
