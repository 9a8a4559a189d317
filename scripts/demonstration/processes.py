"""The processes of the demonstration: started, paused, restarted, and ended in every case."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.demonstration.signals import Interrupted, held
from scripts.probes import birth, stopped

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
        self._shown: set[str] = set()
        logs.mkdir(parents=True, exist_ok=True)

    def invocation(self, service: str, **environ: str) -> None:
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

    def serve(self, name: str, *module: str) -> Path:
        """Start a program of ours that stays up; returns the file that it writes to."""
        path = self._logs / f"{name}.log"
        with held(), path.open("wb") as log:
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

    def show(self, name: str, *module: str) -> None:
        """Start a program that shows itself where the demonstration is shown."""
        command = [sys.executable, "-m", *module]
        self._shown.add(name)
        with held():
            self._running[name] = subprocess.Popen(command, cwd=ROOT, env=self._environ)  # noqa: S603 - ours

    def run(self, name: str, *command: str) -> None:
        """Run a program of ours to its end. Raises DemoError when it fails.

        It is one of the crew meanwhile: whoever is interrupted while it runs ends it with the others.
        """
        with held(), (self._logs / f"{name}.log").open("wb") as log:
            self._running[name] = running = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, *command], env=self._environ, stdout=log, stderr=log
            )
        code = running.wait()
        del self._running[name]
        if code:
            raise DemoError(f"{name} ended with {code}: {self._last_words(name)}")

    def pause(self, service: str) -> None:
        self._running[service].send_signal(signal.SIGSTOP)

    def resume(self, service: str) -> None:
        self._running[service].send_signal(signal.SIGCONT)

    def kill(self, service: str) -> None:
        """Kill a worker as a crash does: it is told nothing, and finishes nothing."""
        with held():
            self._running[service].kill()
            self._running[service].wait()
            del self._running[service]

    def check(self) -> None:
        """Raises DemoError when one has ended by itself, Interrupted when a person has left what is shown."""
        for name, process in self._running.items():
            code = process.poll()
            # On a screen of its own a Ctrl-C is a key, and reaches nobody else.
            if code == 0 and name in self._shown:
                raise Interrupted(signal.SIGINT)
            if code is not None:
                raise DemoError(f"{name} has ended ({code}): {self._last_words(name)}")

    def end(self, *names: str) -> None:
        """End these, or all of them: asked first, then not asked."""
        chosen = [name for name in names or tuple(self._running) if name in self._running]
        end([_known(self._running[name]) for name in chosen])
        for name in chosen:
            # Only now: whoever interrupts this ends all of them, these too.
            del self._running[name]

    def leave(self) -> dict[str, tuple[int, str]]:
        """Let them run on: the pid of each, and what tells it from a later process of that number."""
        return {name: _known(process) for name, process in self._running.items()}

    def _last_words(self, name: str) -> str:
        with contextlib.suppress(OSError):
            lines = (self._logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
            return lines[-1][:300] if lines else "it said nothing"
        return "it said nothing"


def end(processes: Sequence[tuple[int, str]]) -> None:
    """End processes, each a pid and its `birth`: a later process of that number is somebody else's."""
    for pid, born in processes:
        _tell(pid, born, signal.SIGTERM)
    if _await(processes, END_SECONDS):
        return
    for pid, born in processes:
        _tell(pid, born, signal.SIGKILL)
    _await(processes, END_SECONDS)


def _await(processes: Sequence[tuple[int, str]], patience_seconds: float) -> bool:
    """Whether all of them have ended, waited for."""
    deadline = time.monotonic() + patience_seconds
    while living := [known for known in processes if _alive(*known)]:
        if time.monotonic() > deadline:
            return False
        for pid, born in living:
            # A stopped one hears nothing until it is woken. One that runs must not be: a screen that is told to go
            # on takes the terminal a second time, and gives back what it found then.
            if stopped(pid):
                _tell(pid, born, signal.SIGCONT)
        time.sleep(0.05)
    return True


def _known(process: "subprocess.Popen[bytes]") -> tuple[int, str]:
    return process.pid, birth(process.pid) or ""


def _tell(pid: int, born: str, number: signal.Signals) -> None:
    if _alive(pid, born):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _alive(pid: int, born: str) -> bool:
    # One of ours that has ended stays in the process table until it is asked for.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return birth(pid) == born
