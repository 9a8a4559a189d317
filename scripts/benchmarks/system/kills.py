"""What orders notice when a worker is killed under load and started again."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

from scripts.benchmarks.system.load import Publisher, Write, bodies, envelope
from scripts.benchmarks.system.open_loop import Arrivals, offer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.benchmarks.system.rounds import Running

# An order that takes longer has stalled.
STALLED_SECONDS = 1.0
_BEFORE_SECONDS, _DOWN_SECONDS, _AFTER_SECONDS = 1.0, 2.0, 3.0
_PATIENCE_SECONDS = 60.0


def measure(system: Running, service: str, rate: float, write: Write = envelope) -> dict[str, Any]:
    """Offer orders, kill a worker with SIGKILL, start one again after two seconds; what became of the orders."""
    with contextlib.ExitStack() as stack:
        publisher = stack.enter_context(contextlib.closing(Publisher(system.url, bodies(), write)))
        arrivals = stack.enter_context(contextlib.closing(Arrivals(system.url)))
        due: dict[str, float] = {}
        seconds = _BEFORE_SECONDS + _DOWN_SECONDS + _AFTER_SECONDS
        load = threading.Thread(target=lambda: due.update(offer(publisher, rate, seconds)))
        load.start()
        stack.callback(load.join)
        time.sleep(_BEFORE_SECONDS)
        killed = time.monotonic()
        system.workers[service].pop(0).kill()
        time.sleep(_DOWN_SECONDS)
        started = time.monotonic()
        system.start(service)
        load.join()
        end = time.monotonic() + _PATIENCE_SECONDS
        while due.keys() - arrivals.at.keys() and time.monotonic() < end:
            time.sleep(0.05)
        return {"service": service} | summary(due, dict(arrivals.at), killed, started)


def summary(due: Mapping[str, float], at: Mapping[str, float], killed: float, started: float) -> dict[str, Any]:
    """The orders that stalled, and the seconds from the new start until the last of those was created.

    `created_meanwhile`: of the orders that were due while the service was away, those that were created meanwhile.
    """
    stalled = [key for key, instant in due.items() if at.get(key, float("inf")) - instant > STALLED_SECONDS]
    last = max((at[key] for key in stalled if key in at), default=started)
    away = [key for key, instant in due.items() if killed <= instant < started]
    return {
        "orders": len(due),
        "stalled": len(stalled),
        "lost": sum(key not in at for key in due),
        "due_meanwhile": len(away),
        "created_meanwhile": sum(at.get(key, started) < started for key in away),
        "recovery_seconds": round(max(0.0, last - started), 2),
    }
