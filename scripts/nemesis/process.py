"""One worker's process, which remembers how it was treated: asked to leave, frozen, killed, and when it ended."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from typing import IO, TYPE_CHECKING

from scripts.nemesis.history import Departure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FAILPOINT = "SAGA_FAILPOINT"


class Worker(subprocess.Popen[bytes]):
    """Its end is noted when it comes, not when somebody looks."""

    def __init__(
        self, service: str, command: Sequence[str], folder: Path, environment: Mapping[str, str], log: IO[bytes]
    ) -> None:
        super().__init__(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self.service = service
        self._begun = time.monotonic()
        self._ended = 0.0
        self._asked: list[float] = []
        # One that is started to die at a failpoint kills itself.
        self._killed = FAILPOINT in environment
        self._frozen_since: float | None = None
        self._frozen_seconds = 0.0
        self._watching = threading.Thread(target=self._note_the_end, name=f"{service} ends", daemon=True)
        self._watching.start()

    def terminate(self) -> None:
        if self.poll() is None:
            self._asked.append(time.monotonic())
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

    def departure(self) -> Departure | None:
        """How it ended, once it has."""
        code = self.poll()
        if code is None:
            return None
        self._watching.join()
        first = self._asked[0] if self._asked else self._begun
        took = max(0.0, self._ended - first - self._frozen_seconds) if self._asked else 0.0
        return Departure(self.service, code, len(self._asked), self._killed, first - self._begun, took)

    def _note_the_end(self) -> None:
        self.wait()
        self._ended = time.monotonic()
