"""Runs a live monitor during the run, and at the end reads its state and that of a newly built one."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from scripts.nemesis.history import MonitorState, named
from scripts.nemesis.workers import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# One report reads the stream for up to fifteen seconds; the history of a long run needs several.
MOST_READINGS = 20
# The exit code of a report that could not read the whole stream in its time.
_MORE_TO_READ = 1


class MonitorObserver:
    """A live monitor with its file in `folder`; `env` holds its settings."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._folder = folder
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("SAGA_")}
        self._env = inherited | dict(env)
        self._log = folder / "monitor.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.kills = 0

    @property
    def logs(self) -> list[Path]:
        return [self._log] if self._log.exists() else []

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "saga_monitor"],
                cwd=ROOT,
                env=self._env_for("live"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL the monitor and start another on the same file."""
        self.end()
        self.kills += 1
        self.start()

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def conclude(self) -> tuple[MonitorState, MonitorState]:
        """The state of the live monitor once it has read everything, and of one rebuilt from the first offset."""
        self.end()
        return self._read("live"), self._read("rebuilt")

    def _read(self, name: str) -> MonitorState:
        """Raises RuntimeError with the monitor's stderr when it does not reach the end of the stream."""
        command = [sys.executable, "-m", "saga_monitor", "report", "--json"]
        before = None
        for _ in range(MOST_READINGS):
            result = subprocess.run(
                command, cwd=ROOT, env=self._env_for(name), capture_output=True, text=True, timeout=60, check=False
            )
            if result.returncode not in {0, _MORE_TO_READ}:
                raise RuntimeError(f"the monitor ({name}): {result.stderr[-500:]}")
            state = read_file(self._folder / f"{name}.sqlite3")
            if state == before:
                return state
            before = state
        raise RuntimeError(f"the monitor ({name}) does not reach the end of the stream: {result.stderr[-500:]}")

    def _env_for(self, name: str) -> dict[str, str]:
        return self._env | {"SAGA_MONITOR_DATABASE": str(self._folder / f"{name}.sqlite3")}


def read_file(path: Path) -> MonitorState:
    """The content of a monitor's file."""
    with closing(sqlite3.connect(path)) as connection:
        orders = list(connection.execute("SELECT key, state, flags FROM instances"))
        events = frozenset(
            (str(key), str(type_), named(id_, source) or "")
            for key, type_, id_, source in connection.execute("SELECT key, type, id, source FROM events")
        )
        dead_letters = connection.execute("SELECT service, event_id, reason FROM dead_letters")
        states = {key: state for key, state, _ in orders}
        flags = {key: frozenset(json.loads(text)) for key, _, text in orders}
        return MonitorState(states, events, frozenset(dead_letters), flags)
