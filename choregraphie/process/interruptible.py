"""A pause that an event may end, and work that is cancelled when another task ends first."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any


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
