"""Items that are taken together, and work that something else may cut short."""

import asyncio
import gc

import pytest

from choregraphie.pipeline.batching import LARGEST_BATCH, Batches
from choregraphie.process.interruptible import finished_before


async def test_what_was_put_meanwhile_is_taken_together_and_in_its_order() -> None:
    batches: Batches[int] = Batches()
    waiting = asyncio.ensure_future(batches.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    for number in range(LARGEST_BATCH + 2):
        batches.put(number)
    assert await waiting == [*range(LARGEST_BATCH)]
    assert await batches.next() == [LARGEST_BATCH, LARGEST_BATCH + 1]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await batches.next()


def test_what_is_there_is_taken_without_waiting() -> None:
    batches: Batches[int] = Batches()
    assert not batches
    batches.put(1)
    assert batches
    assert (batches.take(), bool(batches)) == ([1], False)


async def test_work_that_ends_first_is_finished() -> None:
    assert await finished_before(asyncio.sleep(0), asyncio.Event().wait())


async def test_work_is_cancelled_by_an_end() -> None:
    stopping = asyncio.Event()
    stopping.set()
    assert not await finished_before(asyncio.sleep(60), stopping.wait())


async def test_an_error_of_the_work_is_raised() -> None:
    with pytest.raises(ConnectionError):
        await finished_before(failing(), asyncio.Event().wait())


async def test_an_end_that_fails_is_raised_and_the_work_is_cancelled() -> None:
    work = asyncio.ensure_future(asyncio.sleep(60))

    async def waiting() -> None:
        await work

    with pytest.raises(ConnectionError):
        await finished_before(waiting(), asyncio.Event().wait(), failing())
    assert work.cancelled()


async def test_cancelled_at_the_instant_that_the_work_fails_it_retrieves_the_error() -> None:
    unretrieved: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unretrieved.append(context["message"]))
    waiting = asyncio.ensure_future(finished_before(failing(), asyncio.Event().wait()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    del waiting
    gc.collect()
    assert unretrieved == []


async def failing() -> None:
    raise ConnectionError("lost")
