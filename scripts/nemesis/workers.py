"""Worker processes: started, killed, frozen, restarted. Each is known by its process object, never by a name."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from scripts.nemesis.history import WorkerExit, WorkerState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).parents[2]
# Like a process supervisor: with a pause, so that a worker that cannot start does not spin.
RESTART_SECONDS = 1.0


FAILPOINT = "SAGA_FAILPOINT"


class Worker(subprocess.Popen[bytes]):
    """A worker process that records how it was treated (SIGTERM, SIGSTOP, SIGKILL) and when it ended.

    A thread waits for the end, so that its time is exact.
    """

    def __init__(
        self, service: str, command: Sequence[str], folder: Path, env: Mapping[str, str], log: IO[bytes]
    ) -> None:
        super().__init__(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self.service = service
        self._started_at = time.monotonic()
        self._ended = 0.0
        self._sigterm_times: list[float] = []
        # A worker with a failpoint kills itself there.
        self._killed = FAILPOINT in env
        self._frozen_since: float | None = None
        self._frozen_seconds = 0.0
        self._watcher = threading.Thread(target=self._record_end, name=f"{service} ends", daemon=True)
        self._watcher.start()

    def terminate(self) -> None:
        if self.poll() is None:
            self._sigterm_times.append(time.monotonic())
        super().terminate()

    def kill(self) -> None:
        if self.poll() is None:
            self._killed = True
        super().kill()

    def freeze(self) -> None:
        self._frozen_since = self._frozen_since or time.monotonic()
        self.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._frozen_since is not None:
            self._frozen_seconds += time.monotonic() - self._frozen_since
        self._frozen_since = None
        self.send_signal(signal.SIGCONT)

    def exit_record(self) -> WorkerExit | None:
        """How the process ended; None while it runs."""
        code = self.poll()
        if code is None:
            return None
        self._watcher.join()
        first = self._sigterm_times[0] if self._sigterm_times else self._started_at
        elapsed = max(0.0, self._ended - first - self._frozen_seconds) if self._sigterm_times else 0.0
        return WorkerExit(
            self.service, code, len(self._sigterm_times), self._killed, first - self._started_at, elapsed
        )

    def _record_end(self) -> None:
        self.wait()
        self._ended = time.monotonic()


@dataclass
class Slot:
    """A place for one worker, and its current process."""

    service: str
    number: int
    process: Worker | None = None
    frozen: bool = False
    ended: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.service}-{self.number}"

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Workers:
    """`each` workers of each of `services` with one environment; their logs are below `folder`."""

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        services: Sequence[str],
        each: int = 1,
        program: Iterable[str] = ("services",),
    ) -> None:
        self._logs = folder / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("SAGA_")}
        self._env = inherited | {"SAGA_LOG_FORMAT": "json"} | dict(env)
        self._program = list(program)
        self.slots = [Slot(service, number) for service in services for number in range(1, each + 1)]
        self._started: list[Worker] = []
        self.kills = 0

    @property
    def starts(self) -> int:
        return len(self._started)

    @property
    def worker_exits(self) -> tuple[WorkerExit, ...]:
        """Every worker that has ended so far."""
        return tuple(worker_exit for worker in self._started if (worker_exit := worker.exit_record()) is not None)

    @property
    def logs(self) -> list[Path]:
        return sorted(self._logs.glob("*.log"))

    def of(self, service: str) -> list[Slot]:
        return [slot for slot in self.slots if slot.service == service]

    def start(self, slot: Slot, **more: str) -> None:
        command = [sys.executable, "-m", *self._program, "run", slot.service]
        with (self._logs / f"{slot.name}.log").open("ab") as log:
            slot.process = Worker(slot.service, command, ROOT, self._env | more, log)
        self._started.append(slot.process)
        slot.frozen = False
        slot.ended = 0.0

    def start_all(self) -> None:
        for slot in self.slots:
            self.start(slot)

    def kill(self, slot: Slot) -> None:
        """SIGKILL one worker."""
        if slot.process is not None and slot.alive:
            slot.process.kill()
            slot.process.wait(10)
            self.kills += 1

    def freeze(self, slot: Slot) -> None:
        if slot.process is not None and slot.alive:
            slot.process.freeze()
            slot.frozen = True

    def thaw(self, slot: Slot) -> None:
        if slot.process is not None and slot.alive:
            slot.process.thaw()
        slot.frozen = False

    def await_exit(self, slot: Slot, seconds: float) -> int | None:
        """The exit code, or None when it has not ended in time."""
        if slot.process is None:
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            return slot.process.wait(seconds)
        return None

    def restart_ended(self) -> None:
        """Start what has ended again, after a pause."""
        for slot in self.slots:
            if slot.process is None or slot.process.poll() is None:
                continue
            if not slot.ended:
                slot.ended = time.monotonic()
            elif time.monotonic() - slot.ended >= RESTART_SECONDS:
                self.start(slot)

    def terminate_all(self, patience_seconds: float = 40) -> tuple[WorkerState, ...]:
        """Send SIGTERM to all at once. Returns the resources of each before it, its exit code and its time."""
        started = time.monotonic()
        running = [slot for slot in self.slots if slot.process is not None and slot.alive]
        resources = {slot.name: _resource_usage(slot.process.pid) for slot in running if slot.process}
        for slot in running:
            self.thaw(slot)
            if slot.process is not None:
                slot.process.terminate()
        worker_states = []
        for slot in running:
            code = self.await_exit(slot, max(0.1, started + patience_seconds - time.monotonic()))
            worker_states.append(
                WorkerState(slot.service, *resources[slot.name], code, time.monotonic() - started)
            )
        return tuple(worker_states)

    def end(self) -> None:
        """Kill whatever still runs."""
        for slot in self.slots:
            if slot.process is not None:
                slot.process.kill()
                slot.process.wait(10)


def _resource_usage(pid: int) -> tuple[int | None, float | None]:
    """Open descriptors and megabytes of memory; None where the system does not say."""
    with contextlib.suppress(OSError):
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return descriptors, pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return None, None
