"""The thread that uses a service's database, and which transactions run without it."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

# With sixteen deliveries nothing is gained (docs/performance.md).
MOST_IN_PLACE = 8
# A longer one was of a large group, or met a lock, a slow disk or a busy machine, and the next one may too.
SHORT_SECONDS = 0.005

T = TypeVar("T")


class DatabaseThread(ThreadPoolExecutor):
    """Runs what uses the database, one transaction after another.

    The way to the thread and back is about a sixth of the cost of a delivery that comes alone. So a small
    transaction on a file may run in place: in the event loop's own thread, while this one has nothing to do. When
    the disk stalls or another program locks the file, the event loop waits for one transaction. The next ones run
    on the thread, until one is short again.
    """

    def __init__(self, service: str, *, on_file: bool) -> None:
        """`on_file`: the database is a file of this machine, and no server is waited for."""
        super().__init__(1, thread_name_prefix=f"{service} database")
        self._on_file = on_file
        self._last_seconds = 0.0
        self._jobs: list[Future[Any]] = []

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        """Run `fn` on the thread, after what was submitted before."""
        job = super().submit(fn, *args, **kwargs)
        self._jobs = [*(one for one in self._jobs if not one.done()), job]
        return job

    def may_run_in_place(self, deliveries: int) -> bool:
        """Whether a transaction of so many deliveries may run in the event loop's thread now."""
        return (
            self._on_file
            and deliveries <= MOST_IN_PLACE
            and self._last_seconds < SHORT_SECONDS
            and all(job.done() for job in self._jobs)
        )

    def timed(self, do: Callable[..., T], *args: Any) -> T:
        """Run a transaction, and note how long it took. Raises what it raises."""
        begun = time.monotonic()
        try:
            return do(*args)
        finally:
            self._last_seconds = time.monotonic() - begun
