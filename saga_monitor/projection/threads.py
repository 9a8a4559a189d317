"""Work on the file in a thread, for a caller that may be cancelled meanwhile."""

import asyncio
import contextvars
import functools
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")


async def run_in_thread(work: Callable[[*_Arguments], _Result], *arguments: *_Arguments) -> _Result:
    """The result of `work(*arguments)`, run in a thread. A caller that is cancelled waits for its end first.

    So whoever waits for the caller may close the file then. Closing a SQLite connection while a thread reads from
    it crashes the process. Raises what `work` raises.
    """
    run = functools.partial(contextvars.copy_context().run, work, *arguments)
    running = asyncio.get_running_loop().run_in_executor(None, run)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return running.result()
    running.exception()  # retrieved, or asyncio would log it
    raise cancelled
