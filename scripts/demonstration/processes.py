"""The child processes of the demonstration: started, paused, killed, and ended in every case."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.demonstration.signals import Interrupted, deferred
from scripts.probes import birth, stopped

ROOT = Path(__file__).resolve().parents[2]
END_SECONDS = 15


class DemoError(Exception):
    """The demonstration cannot go on. The text is for a person."""


class Processes:
    """Child processes by name. Their output goes to files in `logs`, except for those in the foreground."""

    def __init__(self, logs: Path, environ: Mapping[str, str]) -> None:
        self._logs = logs
        self._environ = dict(environ)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._shown: set[str] = set()
        logs.mkdir(parents=True, exist_ok=True)

    def start_worker(self, service: str, **environ: str) -> None:
        """Start the worker of `service`; `environ` adds to the settings."""
        with deferred(), (self._logs / f"{service}.log").open("ab") as log:
            self._running[service] = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "services", "run", service],
                cwd=ROOT,
                env=self._environ | environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the demonstration alone, which ends its workers
            )

    def start_in_background(self, name: str, *module: str) -> Path:
        """Start a module that keeps running. Returns its log file."""
        path = self._logs / f"{name}.log"
        with deferred(), path.open("wb") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", *module],
                cwd=ROOT,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return path

    def start_in_foreground(self, name: str, *module: str) -> None:
        """Start a module on the terminal of the demonstration."""
        command = [sys.executable, "-m", *module]
        self._shown.add(name)
        with deferred():
            self._running[name] = subprocess.Popen(command, cwd=ROOT, env=self._environ)  # noqa: S603 - ours

    def run(self, name: str, *command: str) -> None:
        """Run a program to its end. Raises DemoError when it fails.

        While it runs it is one of the processes, so an interruption ends it with the others.
        """
        with deferred(), (self._logs / f"{name}.log").open("wb") as log:
            self._running[name] = running = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, *command], env=self._environ, stdout=log, stderr=log
            )
        code = running.wait()
        del self._running[name]
        if code:
            raise DemoError(f"{name} ended with {code}: {self._last_log_line(name)}")

    def pause(self, service: str) -> None:
        self._running[service].send_signal(signal.SIGSTOP)

    def resume(self, service: str) -> None:
        self._running[service].send_signal(signal.SIGCONT)

    def kill(self, service: str) -> None:
        """SIGKILL a worker, as a crash would end it."""
        with deferred():
            self._running[service].kill()
            self._running[service].wait()
            del self._running[service]

    def check(self) -> None:
        """Raises DemoError when a process has ended by itself, Interrupted when the console was quit."""
        for name, process in self._running.items():
            code = process.poll()
            # In the console's raw terminal mode Ctrl-C is a key and sends no signal.
            if code == 0 and name in self._shown:
                raise Interrupted(signal.SIGINT)
            if code is not None:
                raise DemoError(f"{name} has ended ({code}): {self._last_log_line(name)}")

    def end(self, *names: str) -> None:
        """End these processes, or all: SIGTERM, then SIGKILL."""
        chosen = [name for name in names or tuple(self._running) if name in self._running]
        end([_identity(self._running[name]) for name in chosen])
        for name in chosen:
            self._running[name].poll()  # it has been reaped; Popen would warn otherwise
            # Afterwards: an interruption until here ends all of them again.
            del self._running[name]

    def detach(self) -> dict[str, tuple[int, str]]:
        """Leave them running. Returns each one's pid and birth, which identify it later."""
        return {name: _identity(process) for name, process in self._running.items()}

    def _last_log_line(self, name: str) -> str:
        with contextlib.suppress(OSError):
            lines = (self._logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
            return lines[-1][:300] if lines else "no output"
        return "no output"


def end(processes: Sequence[tuple[int, str]]) -> None:
    """End processes, each given by its pid and `birth`, so that no later process with the same pid is hit."""
    for pid, birth_time in processes:
        _send(pid, birth_time, signal.SIGTERM)
    if _await(processes, END_SECONDS):
        return
    for pid, birth_time in processes:
        _send(pid, birth_time, signal.SIGKILL)
    _await(processes, END_SECONDS)


def _await(processes: Sequence[tuple[int, str]], patience_seconds: float) -> bool:
    """Wait until all have ended. Returns False at the timeout."""
    deadline = time.monotonic() + patience_seconds
    while alive := [process for process in processes if _alive(*process)]:
        if time.monotonic() > deadline:
            return False
        for pid, birth_time in alive:
            # A stopped process handles SIGTERM only after SIGCONT. A running one must not get SIGCONT: the console
            # would take the terminal a second time, and restore the wrong settings at its end.
            if stopped(pid):
                _send(pid, birth_time, signal.SIGCONT)
        time.sleep(0.05)
    return True


def _identity(process: "subprocess.Popen[bytes]") -> tuple[int, str]:
    return process.pid, birth(process.pid) or ""


def _send(pid: int, birth_time: str, number: signal.Signals) -> None:
    if _alive(pid, birth_time):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _alive(pid: int, birth_time: str) -> bool:
    # An ended child stays in the process table until it is reaped.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return birth(pid) == birth_time
