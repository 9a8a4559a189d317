"""Real worker processes, each with its own settings."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
# Generous: on a busy machine a step may take many times as long as usual.
PATIENCE_SECONDS = 90.0


def environment(**settings: Any) -> dict[str, str]:
    """This process's environment with these settings (`amqp_url=…`) as its only SAGA_ variables."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SAGA_")}
    return kept | {f"SAGA_{name.upper()}": str(value) for name, value in settings.items()}


def services(*arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run `python -m services …` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "services", *arguments],
        cwd=ROOT,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def until(true: Callable[[], bool], what: str, within_seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until the condition holds. Raises AssertionError with `what` when it does not in time."""
    deadline = time.monotonic() + within_seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not after {within_seconds} s: {what}")
        time.sleep(0.05)


class Worker:
    """One process with the workers of one service or several."""

    def __init__(self, names: tuple[str, ...], log: Path, settings: dict[str, Any]) -> None:
        self.names = names
        self._log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services", "run", *names],
                cwd=ROOT,
                env=environment(**settings),
                stdout=out,
                stderr=out,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        """The lines of its log, which is one JSON object a line when it is no terminal."""
        whole = self.output().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line.get("event") == event]

    def await_ready(self, times: int = 1) -> None:
        def ready() -> bool:
            assert self.exit_code is None, f"{self.names} left: {self.output()[-2000:]}"
            ready_names = [line["service"] for line in self.logged("worker.ready")]
            return all(ready_names.count(name) >= times for name in self.names)

        until(ready, f"{self.names} ready; its log ends with {self.output()[-2000:]}")

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self, within_seconds: float = PATIENCE_SECONDS) -> int:
        """Send SIGTERM and return the exit code. Raises TimeoutExpired when the process does not end."""
        with contextlib.suppress(ProcessLookupError):
            self.go_on()
            self._process.terminate()
        return self._process.wait(within_seconds)

    def kill(self) -> None:
        if self.exit_code is None:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def paused(worker: Worker) -> Iterator[None]:
    worker.pause()
    try:
        yield
    finally:
        worker.go_on()
