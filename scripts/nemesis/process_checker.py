"""The checker of processes, I10: the resources they hold and how they end. Pure."""

from __future__ import annotations

import signal
from collections import Counter
from typing import TYPE_CHECKING

from scripts.nemesis.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.nemesis.databases import Databases
    from scripts.nemesis.history import History, WorkerExit, WorkerState

# An idle worker holds a few tens of descriptors and less than 120 MB; a leak grows without bound.
MOST_DESCRIPTORS = 80
MOST_MEGABYTES = 300
LONGEST_LEAVING_SECONDS = 30
# While it still imports its modules a process has no signal handler, and SIGTERM ends it at once.
STARTING_SECONDS = 15


def clean_processes(history: History, databases: Databases) -> Iterator[Violation]:
    """I10. Every worker runs with one consumer, leaks nothing, never crashes, ends in time, logs no secret."""
    running = Counter(worker.service for worker in history.workers)
    consumers = {queue.name: queue.consumers for queue in history.queues}
    for service in history.saga.services:
        if running[service] != history.each:
            yield Violation("I10", f"could not tell: {service} has {running[service]} workers")
        if consumers.get(f"{service}.inbox") != history.each:
            found = consumers.get(f"{service}.inbox", "unknown")
            yield Violation("I10", f"{service}: {history.each} workers, consumers: {found}")
    for worker in history.workers:
        yield from _state(worker)
    for worker_exit in history.worker_exits:
        yield from _departure(worker_exit)
    yield from (Violation("I10", f"a secret is in {log}") for log in history.secrets_in_logs)
    yield from (Violation("I10", f"a process crashed: {log}") for log in history.crashes)


def _state(worker: WorkerState) -> Iterator[Violation]:
    if worker.exit_code != 0 or worker.exit_seconds > LONGEST_LEAVING_SECONDS:
        left = f"exit code {worker.exit_code} after {worker.exit_seconds:.0f} s"
        yield Violation("I10", f"a worker of {worker.service} ended badly: {left}")
    if worker.descriptors is None or worker.megabytes is None:
        yield Violation("I10", f"could not tell: what a worker of {worker.service} holds")
    elif worker.descriptors > MOST_DESCRIPTORS or worker.megabytes > MOST_MEGABYTES:
        held = f"{worker.descriptors} descriptors, {worker.megabytes:.0f} MB"
        yield Violation("I10", f"a worker of {worker.service} holds {held}")


def _departure(worker_exit: WorkerExit) -> Iterator[Violation]:
    if not _rightly(worker_exit):
        yield Violation("I10", f"a worker of {worker_exit.service} ended by itself: exit code {worker_exit.code}")
    if worker_exit.sigterms and not worker_exit.killed and worker_exit.seconds > LONGEST_LEAVING_SECONDS:
        yield Violation(
            "I10", f"a worker of {worker_exit.service} took {worker_exit.seconds:.0f} s to end under load"
        )


def _rightly(worker_exit: WorkerExit) -> bool:
    """Whether the end is the expected result of the signals it got."""
    if worker_exit.code == -signal.SIGKILL:
        return worker_exit.killed
    if worker_exit.code == -signal.SIGTERM:
        return worker_exit.sigterms > 0 and worker_exit.age < STARTING_SECONDS
    return worker_exit.sigterms > worker_exit.code and worker_exit.code in {0, 1}
