"""Faults between the workers (and the client) and the broker, by the proxy."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from scripts.nemesis.proxy import Mode

if TYPE_CHECKING:
    from scripts.nemesis.targets import Stage

FLAP_SECONDS = 3.0


class Cut:
    """Every connection is reset at a random byte."""

    mode = Mode.CUT

    def start(self, stage: Stage) -> None:
        stage.proxy.set(self.mode)

    def stop(self, stage: Stage) -> None:
        stage.proxy.set(Mode.PASS)


class Delay(Cut):
    """What passes is 300 ms late."""

    mode = Mode.DELAY


class Throttle(Cut):
    """10 kB a second pass, and no more."""

    mode = Mode.THROTTLE


class StallUp(Cut):
    """Half-open: what is said to the broker never arrives, and nobody is told."""

    mode = Mode.STALL_UP

    def stop(self, stage: Stage) -> None:
        # What was on its way is gone with its connection.
        stage.proxy.set(Mode.REFUSE)
        stage.proxy.set(Mode.PASS)


class StallDown(StallUp):
    """Half-open the other way: what the broker says, its confirms too, never arrives."""

    mode = Mode.STALL_DOWN


class Flapping:
    """There and away again every three seconds."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, stage: Stage) -> None:
        self._thread = threading.Thread(target=self._flap, args=(stage,), daemon=True)
        self._thread.start()

    def stop(self, stage: Stage) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        stage.proxy.set(Mode.PASS)

    def _flap(self, stage: Stage) -> None:
        away = True
        while not self._over.is_set():
            stage.proxy.set(Mode.REFUSE if away else Mode.PASS)
            away = not away
            self._over.wait(FLAP_SECONDS)
