"""A rolling restart goes on beside other faults, which cannot end while it waits."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.nemesis import faults_process
from scripts.nemesis.environment import Environment
from scripts.nemesis.faults_process import RollingRestart


class _Workers:
    def __init__(self) -> None:
        self.terminated: list[str] = []
        self.started: list[str] = []
        self.looks_for_ended = 0
        self.slots = [self._slot(name) for name in ("stock", "paiement")]

    def _slot(self, name: str) -> Any:
        process = SimpleNamespace(terminate=lambda: self.terminated.append(name))
        return SimpleNamespace(service=name, process=process, alive=True, frozen=False)

    def await_exit(self, slot: Any, seconds: float) -> None: ...

    def start(self, slot: Any) -> None:
        self.started.append(slot.service)

    def restart_ended(self) -> None:
        self.looks_for_ended += 1


@pytest.mark.parametrize("stalled", [True, False])
def test_workers_that_another_fault_hinders_do_not_stop_it(stalled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults_process, "AGAIN_SECONDS", 0.5)
    workers = _Workers()
    environment: Any = SimpleNamespace(workers=workers, ready=lambda: not stalled)
    environment.restart_until_ready = partial(Environment.restart_until_ready, environment)
    targets: Any = SimpleNamespace(environment=environment, notes=[])
    RollingRestart().start(targets)
    assert workers.terminated == workers.started == ["stock", "paiement"]
    assert targets.notes == ["restarted 2 workers in turn"]
    assert bool(workers.looks_for_ended) == stalled, "one that was killed before is started again meanwhile"
