"""A supervised worker whose sessions are fake, without a broker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from choregraphie.pipeline.context import WorkerContext
from choregraphie.pipeline.supervisor import supervise
from tests.support.fake_session import FakeSession


@contextlib.asynccontextmanager
async def supervised(
    context: WorkerContext, opening: Callable[[int], None] = lambda number: None
) -> AsyncIterator[list[FakeSession]]:
    """Run the worker while the block lasts. Yields its sessions, the newest last.

    `opening` gets the number of each session, from 1; when it raises, that session is not opened.
    """
    sessions: list[FakeSession] = []

    @contextlib.asynccontextmanager
    async def opened(_: WorkerContext) -> AsyncIterator[FakeSession]:
        sessions.append(FakeSession())
        opening(len(sessions))
        yield sessions[-1]

    stopping = asyncio.Event()
    running = asyncio.create_task(supervise(context, stopping, opened))
    try:
        yield sessions
        stopping.set()
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def consuming(sessions: Sequence[FakeSession]) -> bool:
    """Whether the newest session receives."""
    return bool(sessions) and ("consume", ()) in sessions[-1].actions
