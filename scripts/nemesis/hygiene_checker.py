"""I10, a pure function like the other checkers: what the processes hold, and how they end."""

from __future__ import annotations

import signal
from collections import Counter
from typing import TYPE_CHECKING

from contracts.choreography import CHOREOGRAPHY
from scripts.nemesis.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.nemesis.databases import Books
    from scripts.nemesis.history import Departure, History, WorkerState

# A worker idles at a few tens of descriptors and below 120 MB; leaks grow without bound.
MOST_DESCRIPTORS = 80
MOST_MEGABYTES = 300
LONGEST_LEAVING_SECONDS = 30
# Before it has read its modules a process does not listen to signals, and SIGTERM simply ends it.
STARTING_SECONDS = 15


def hygiene(history: History, books: Books) -> Iterator[Violation]:
    """I10. Every worker there with one consumer, no leak, no crash, out in time, no secret in any log."""
    running = Counter(worker.service for worker in history.workers)
    consumers = {queue.name: queue.consumers for queue in history.queues}
    for service in CHOREOGRAPHY.services:
        if running[service] != history.each:
            yield Violation("I10", f"could not tell: of {service} there are {running[service]} workers")
        if consumers.get(f"{service}.inbox") != history.each:
            found = consumers.get(f"{service}.inbox", "unknown")
            yield Violation("I10", f"{service}: {history.each} workers, consumers: {found}")
    for worker in history.workers:
        yield from _state(worker)
    for gone in history.departures:
        yield from _departure(gone)
    yield from (Violation("I10", f"a secret stands in {log}") for log in history.secrets_in_logs)
    yield from (Violation("I10", f"a process crashed: {log}") for log in history.crashes)


def _state(worker: WorkerState) -> Iterator[Violation]:
    if worker.exit_code != 0 or worker.seconds_to_leave > LONGEST_LEAVING_SECONDS:
        left = f"exit code {worker.exit_code} after {worker.seconds_to_leave:.0f} s"
        yield Violation("I10", f"a worker of {worker.service} left badly: {left}")
    if worker.descriptors is None or worker.megabytes is None:
        yield Violation("I10", f"could not tell: what a worker of {worker.service} holds")
    elif worker.descriptors > MOST_DESCRIPTORS or worker.megabytes > MOST_MEGABYTES:
        held = f"{worker.descriptors} descriptors, {worker.megabytes:.0f} MB"
        yield Violation("I10", f"a worker of {worker.service} holds {held}")


def _departure(gone: Departure) -> Iterator[Violation]:
    if not _rightly(gone):
        yield Violation("I10", f"a worker of {gone.service} ended by itself: exit code {gone.code}")
    if gone.asked and not gone.killed and gone.seconds > LONGEST_LEAVING_SECONDS:
        yield Violation("I10", f"a worker of {gone.service} took {gone.seconds:.0f} s to leave under load")


def _rightly(gone: Departure) -> bool:
    """Whether it ended as whoever ended it must expect."""
    if gone.code == -signal.SIGKILL:
        return gone.killed
    if gone.code == -signal.SIGTERM:
        return gone.asked > 0 and gone.age < STARTING_SECONDS
    return gone.asked > gone.code and gone.code in {0, 1}
