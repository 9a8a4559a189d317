"""Tells a task that is cancelled from one in which something else was: both see a CancelledError."""

import asyncio


def cancellations() -> int:
    """How often the running task was cancelled. After a failed task group this is not zero."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
