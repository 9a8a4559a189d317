"""Worker processes measured from outside: CPU time and memory of a process with its children, from /proc."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SERVICES = ("stock", "paiement", "commande", "notification")
_END_SECONDS = 10


class Worker:
    """A running worker of one service. End it with `close`."""

    def __init__(self, command: Sequence[str], folder: Path, environment: dict[str, str], log: Path) -> None:
        self.log = log
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SAGA_", "PYTHON"))}
        with log.open("wb") as out:
            self._process = subprocess.Popen(  # noqa: S603 - one of our own commands
                [*command],
                cwd=folder,
                env=kept | environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        self.pid = self._process.pid

    def check(self) -> None:
        """Raises RuntimeError, with the end of its log, when it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"a worker ended with {self._process.returncode}: {self.end_of_log()}")

    def end_of_log(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """SIGTERM, then SIGKILL; its children end with it or are killed."""
        children = [pid for pid in tree(self.pid) if pid != self.pid]
        self._process.terminate()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in children:
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, 9)


def tree(pid: int) -> Iterator[int]:
    """`pid` and the processes below it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        for child in children:
            yield from tree(int(child))


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process and of those below it, user and system, ended ones included.

    Its resolution is 10 ms.
    """
    return sum(map(_ticks, tree(pid))) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it has ended meanwhile, and its parent has its time
    # The name of the program is in brackets, and may have blanks and brackets in it. Its own time follows, and
    # that of its children that have ended.
    return sum(int(field) for field in stat.rpartition(")")[2].split()[11:15])


def memory_mb(pid: int) -> float:
    """The resident memory of a process and of those below it, now, in MB."""
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in tree(pid))
    return pages * resource.getpagesize() / 1e6
