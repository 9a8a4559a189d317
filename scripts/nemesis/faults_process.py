"""Faults of the processes: killed, all killed, asked to leave, frozen past the heartbeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.nemesis.targets import Stage
    from scripts.nemesis.workers import Slot


class Kill:
    """SIGKILL of one worker; its supervisor starts it again."""

    def start(self, stage: Stage) -> None:
        stage.arena.fleet.kill(stage.rng.choice(stage.arena.fleet.slots))

    def stop(self, stage: Stage) -> None: ...


class KillAll:
    """SIGKILL of every worker at once."""

    def start(self, stage: Stage) -> None:
        for slot in stage.arena.fleet.slots:
            stage.arena.fleet.kill(slot)

    def stop(self, stage: Stage) -> None: ...


class MonitorKill:
    """SIGKILL of the monitor; another one goes on where that one was."""

    def start(self, stage: Stage) -> None:
        stage.arena.observer.kill()

    def stop(self, stage: Stage) -> None: ...


class Leave:
    """SIGTERM of one worker under load, and a second one at once now and then."""

    def start(self, stage: Stage) -> None:
        slot = stage.rng.choice(stage.arena.fleet.slots)
        for _ in range(stage.rng.choice((1, 1, 2))):
            if slot.process is not None and slot.alive and not slot.frozen:
                slot.process.terminate()

    def stop(self, stage: Stage) -> None: ...


class Freeze:
    """SIGSTOP of one worker, then SIGCONT; long enough, and the broker has given it up meanwhile."""

    def __init__(self) -> None:
        self._slot: Slot | None = None

    def start(self, stage: Stage) -> None:
        self._slot = stage.rng.choice(stage.arena.fleet.slots)
        stage.arena.fleet.freeze(self._slot)

    def stop(self, stage: Stage) -> None:
        if self._slot is not None:
            stage.arena.fleet.thaw(self._slot)
