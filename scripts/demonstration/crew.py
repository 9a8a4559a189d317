"""The processes of the demonstration: started, paused, restarted, and ended in every case."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from scripts.demonstration.interruption import held
from scripts.probes import birth

ROOT = Path(__file__).resolve().parents[2]
END_SECONDS = 15


class DemoError(Exception):
    """The demonstration cannot go on. The text is for a person."""


class Crew:
    """Child processes by name. `logs` is the folder where each writes, but for those that show something."""

    def __init__(self, logs: Path, environ: Mapping[str, str]) -> None:
        self._logs = logs
        self._environ = dict(environ)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def work(self, service: str, **environ: str) -> None:
        """Start the worker of `service`, with these settings beside the others."""
        with held(), (self._logs / f"{service}.log").open("ab") as log:
            self._running[service] = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "services", "run", service],
                cwd=ROOT,
                env=self._environ | environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for the demonstration, which ends its workers in order
            )

    def show(self, name: str, *module: str) -> None:
        """Start a program that shows itself where the demonstration is shown."""
        command = [sys.executable, "-m", *module]
        with held():
            self._running[name] = subprocess.Popen(command, cwd=ROOT, env=self._environ)  # noqa: S603 - ours

    def pause(self, service: str) -> None:
        self._running[service].send_signal(signal.SIGSTOP)

    def resume(self, service: str) -> None:
        self._running[service].send_signal(signal.SIGCONT)

    def check(self) -> None:
        """Raises DemoError when one has ended by itself."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise DemoError(f"{name} has ended ({process.returncode}): {self._last_words(name)}")

    def end(self, *names: str) -> None:
        """End these, or all of them: asked first, then not asked."""
        chosen = names or tuple(self._running)
        end([self._running.pop(name).pid for name in chosen if name in self._running])

    def leave(self) -> dict[str, tuple[int, str]]:
        """Let them run on: the pid of each, and what tells it from a later process of that number."""
        return {name: (process.pid, birth(process.pid) or "") for name, process in self._running.items()}

    def _last_words(self, name: str) -> str:
        with contextlib.suppress(OSError):
            lines = (self._logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
            return lines[-1][:300] if lines else "it said nothing"
        return "it said nothing"


def end(pids: list[int]) -> None:
    """End processes in order: those paused are woken first, for a stopped one hears nothing."""
    for pid in pids:
        _tell(pid, signal.SIGCONT)
        _tell(pid, signal.SIGTERM)
    deadline = time.monotonic() + END_SECONDS
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in pids:
        _tell(pid, signal.SIGKILL)


def _tell(pid: int, number: signal.Signals) -> None:
    if _alive(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _alive(pid: int) -> bool:
    # One of ours that has ended stays in the process table until it is asked for.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return birth(pid) is not None
