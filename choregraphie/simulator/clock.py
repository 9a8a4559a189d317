"""An event loop in virtual time: it never waits, the clock jumps to the next timer, and there are no threads.

The order of everything follows from what was scheduled alone: there is no selector, socket, thread or wall clock.
"""

import asyncio
import contextvars
import datetime as dt
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
# Times that differ by less are equal: a sum of floats may be off by a rounding error.
_RESOLUTION = 1e-9
EPOCH = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


class Deadlock(Exception):
    """Nothing is ready and no timer is set, so every waiting task would wait forever."""


class _Task(asyncio.Task[T]):
    """A task whose hash is its number.

    A task group keeps its tasks in a set and cancels them in the set's order. With the default hash, the address,
    this order would differ from machine to machine.
    """

    number: int

    def __new__(cls, _: Coroutine[Any, Any, T], *, loop: "VirtualLoop", **more: Any) -> "_Task[T]":
        task = super().__new__(cls)
        loop.tasks += 1
        task.number = loop.tasks
        return task

    def __hash__(self) -> int:
        return self.number


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop. `now` is the time in seconds since its start; `errors` is what a real loop would have logged.

    Timers due at one instant run in the order in which they were set.
    """

    # Attributes of BaseEventLoop.
    _ready: deque[asyncio.Handle]
    _stopping: bool

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.errors: list[str] = []
        self.tasks = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._set = 0
        self.set_exception_handler(self._note)
        self.set_task_factory(lambda _, coroutine, **more: _Task(coroutine, loop=self, **more))

    def time(self) -> float:
        return self.now

    def instant(self) -> dt.datetime:
        """The virtual time as an aware datetime, to the millisecond as on the wire."""
        return EPOCH + dt.timedelta(milliseconds=round(self.now * 1000))

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> "asyncio.Future[T]":
        """Run `func` at once: in a thread, the operating system would decide about the order."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - as an executor does: whatever it raises is handed over
            future.set_exception(error)
        return future

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # This message comes when garbage is collected, at no defined moment of a run; a crashed worker leaves such
        # tasks behind.
        if "never retrieved" not in str(context.get("message")):
            self.errors.append(f"{context.get('message')}: {context.get('exception')!r}")

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._set += 1
        heapq.heappush(self._timers, (when, self._set, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """The timer stays in the heap; it is skipped when its time comes."""

    def _run_once(self) -> None:
        """Run what is ready, in order. When nothing is, let the clock jump, where BaseEventLoop would wait."""
        timers, ready = self._timers, self._ready
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not ready and not self._stopping:
            if not timers:
                raise Deadlock("everybody waits and no timer is set")
            self.now = max(self.now, timers[0][0])
        while timers and timers[0][0] <= self.now + _RESOLUTION:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    def _write_to_self(self) -> None:
        """Does nothing: this loop never blocks, so it need not be woken."""
