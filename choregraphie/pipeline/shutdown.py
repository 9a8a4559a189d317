"""Waiting that ends when a worker is asked to stop."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any


async def pause(seconds: float, stopping: asyncio.Event) -> None:
    """Sleep, unless asked to stop."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()


async def finished_before(stopping: asyncio.Event, invocation: Coroutine[Any, Any, None]) -> bool:
    """Do `work`; when asked to stop meanwhile, leave it and return False. Raises what it raises."""
    task = asyncio.ensure_future(invocation)
    asked = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
        task.cancel()  # without effect on one that is done
        # Waited for in every case: cancelled ourselves at the instant it failed, nobody else would hear of it.
        if not task.done():
            await asyncio.gather(task, return_exceptions=True)
    if task.cancelled():
        return False
    task.result()
    return True
