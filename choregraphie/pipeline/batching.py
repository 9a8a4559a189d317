"""Taking from a queue in groups: what is there is dealt with together."""

import asyncio
from typing import TypeVar

# Beyond this a larger group saves nothing more, and its failure costs more.
LARGEST_GROUP = 128

T = TypeVar("T")


async def take_batch(queue: "asyncio.Queue[T]") -> list[T]:
    """At least one, and whatever else is there already, up to the largest group."""
    first = await queue.get()
    return [first, *(queue.get_nowait() for _ in range(min(LARGEST_GROUP - 1, queue.qsize())))]
