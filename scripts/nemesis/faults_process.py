"""Faults of the processes: killed, all killed, terminated, frozen beyond the heartbeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.nemesis.targets import Targets
    from scripts.nemesis.workers import Slot

# A worker finishes its work within 25 s and closes its connections within 5 s.
EXIT_SECONDS = 40.0
# A worker that nothing hinders works again within seconds, also on a busy machine.
AGAIN_SECONDS = 20.0


class Kill:
    """SIGKILL of one worker; it is started again."""

    def start(self, targets: Targets) -> None:
        targets.environment.workers.kill(targets.rng.choice(targets.environment.workers.slots))

    def stop(self, targets: Targets) -> None: ...


class KillAll:
    """SIGKILL of every worker at once."""

    def start(self, targets: Targets) -> None:
        for slot in targets.environment.workers.slots:
            targets.environment.workers.kill(slot)

    def stop(self, targets: Targets) -> None: ...


class MonitorKill:
    """SIGKILL of the monitor; another continues on its file."""

    def start(self, targets: Targets) -> None:
        targets.environment.observer.kill()

    def stop(self, targets: Targets) -> None: ...


class Leave:
    """SIGTERM of one worker under load, sometimes a second one at once."""

    def start(self, targets: Targets) -> None:
        slot = targets.rng.choice(targets.environment.workers.slots)
        for _ in range(targets.rng.choice((1, 1, 2))):
            if slot.process is not None and slot.alive and not slot.frozen:
                slot.process.terminate()

    def stop(self, targets: Targets) -> None: ...


class RollingRestart:
    """SIGTERM of each worker in turn under load, as at an upgrade; the next when all work, or after 20 s."""

    def start(self, targets: Targets) -> None:
        for slot in targets.environment.workers.slots:
            if slot.process is not None and slot.alive and not slot.frozen:
                slot.process.terminate()
                targets.environment.workers.await_exit(slot, EXIT_SECONDS)
                targets.environment.workers.start(slot)
                # Another fault that is under way, such as a stall, cannot end meanwhile.
                targets.environment.restart_until_ready(AGAIN_SECONDS)
        targets.notes.append(f"restarted {len(targets.environment.workers.slots)} workers in turn")

    def stop(self, targets: Targets) -> None: ...


class Freeze:
    """SIGSTOP of one worker, then SIGCONT, so late that the broker has closed its connection."""

    def __init__(self) -> None:
        self._slot: Slot | None = None

    def start(self, targets: Targets) -> None:
        self._slot = targets.rng.choice(targets.environment.workers.slots)
        targets.environment.workers.freeze(self._slot)

    def stop(self, targets: Targets) -> None:
        if self._slot is not None:
            targets.environment.workers.thaw(self._slot)
