"""The demonstration's processes: whichever way it goes, each is known, and can be ended."""

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
def listening() -> Iterator[None]:
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


@pytest.mark.usefixtures("listening")
def test_an_interruption_while_a_program_is_begun_does_not_lose_it(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[subprocess.Popen[bytes]] = []

    class Interrupting(subprocess.Popen[bytes]):
        """The signal comes when the process is there and nobody has been told of it yet."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            begun.append(self)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupting)
    with pytest.raises(signals.Interrupted):
        processes.run("endless", *ENDLESS)
    processes.end()
    assert begun[0].poll() is not None


def test_what_a_program_said_when_it_failed_is_told(processes: Processes) -> None:
    with pytest.raises(DemoError, match=r"^failing ended with 3: no such order$"):
        processes.run("failing", "-c", "import sys; print('no such order', file=sys.stderr); sys.exit(3)")


def test_a_program_that_has_ended_is_none_of_the_crew(processes: Processes) -> None:
    processes.run("quick", "-c", "")
    processes.check()
