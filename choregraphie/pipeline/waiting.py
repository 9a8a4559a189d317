"""Waits: for a batch, for a pause, for work that something else may cut short."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

# Groups of 256 take a tenth less processor time than groups of 128 (docs/performance.md). Larger ones save little
# more, and more deliveries are done again when one fails.
LARGEST_BATCH = 256

T = TypeVar("T")


class Batches(Generic[T]):
    """Items that are taken together, in the order in which they were put.

    A queue of asyncio takes a microsecond more for each.
    """

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._any = asyncio.Event()

    def put(self, item: T) -> None:
        """Add `item`."""
        self._items.append(item)
        self._any.set()

    def __bool__(self) -> bool:
        return bool(self._items)

    async def next(self) -> list[T]:
        """Wait for one item, and take what else is there, up to LARGEST_BATCH items."""
        await self._any.wait()
        return self.take()

    def take(self) -> list[T]:
        """Take what is there, up to LARGEST_BATCH items."""
        batch = [self._items.popleft() for _ in range(min(LARGEST_BATCH, len(self._items)))]
        if not self._items:
            self._any.clear()
        return batch


async def pause(seconds: float, stopping: asyncio.Event) -> None:
    """Sleep, at most until `stopping` is set."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()


async def finished_before(work: Coroutine[Any, Any, None], *ends: Coroutine[Any, Any, object]) -> bool:
    """Run `work` until it or one of `ends` is over. Return whether `work` finished; the others are cancelled.

    Raises what `work` raises, otherwise what the first of `ends` raises.
    """
    tasks = [asyncio.ensure_future(one) for one in (work, *ends)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()  # no effect on a task that is done
        # Awaited in every case: when this task is cancelled at the instant one of them fails, nothing else
        # retrieves its exception.
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()
    return not tasks[0].cancelled()
