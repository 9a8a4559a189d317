"""Faults of the network between the broker and its clients (workers, monitor, customers), through the proxy."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from scripts.nemesis.proxy import Mode

if TYPE_CHECKING:
    from scripts.nemesis.targets import Targets

FLAP_SECONDS = 3.0


class Cut:
    """Every connection is reset at a random byte."""

    mode = Mode.CUT

    def start(self, targets: Targets) -> None:
        targets.proxy.set(self.mode)

    def stop(self, targets: Targets) -> None:
        targets.proxy.set(Mode.PASS)


class Delay(Cut):
    """Every chunk is delayed by 300 ms."""

    mode = Mode.DELAY


class Throttle(Cut):
    """At most 10 kB a second pass."""

    mode = Mode.THROTTLE


class StallUp(Cut):
    """Half-open: bytes to the broker are lost without an error."""

    mode = Mode.STALL_UP

    def stop(self, targets: Targets) -> None:
        # The bytes on their way are lost with their connection.
        targets.proxy.set(Mode.REFUSE)
        targets.proxy.set(Mode.PASS)


class StallDown(StallUp):
    """Half-open the other way: bytes from the broker, including confirms, are lost without an error."""

    mode = Mode.STALL_DOWN


class Flapping:
    """The broker is unreachable for three seconds of every six."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, targets: Targets) -> None:
        self._thread = threading.Thread(target=self._flap, args=(targets,), daemon=True)
        self._thread.start()

    def stop(self, targets: Targets) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        targets.proxy.set(Mode.PASS)

    def _flap(self, targets: Targets) -> None:
        away = True
        while not self._over.is_set():
            targets.proxy.set(Mode.REFUSE if away else Mode.PASS)
            away = not away
            self._over.wait(FLAP_SECONDS)
