"""Work that something else may cut short."""

import asyncio
import gc

import pytest

from choregraphie.pipeline.waiting import finished_before


async def test_work_that_ends_first_is_done() -> None:
    assert await finished_before(asyncio.sleep(0), asyncio.Event().wait())


async def test_work_is_left_when_asked_to_stop() -> None:
    stopping = asyncio.Event()
    stopping.set()
    assert not await finished_before(asyncio.sleep(60), stopping.wait())


async def test_what_the_work_raises_is_raised() -> None:
    with pytest.raises(ConnectionError):
        await finished_before(failing(), asyncio.Event().wait())


async def test_what_ends_the_work_by_an_error_is_raised_and_the_work_is_left() -> None:
    work = asyncio.ensure_future(asyncio.sleep(60))

    async def waiting() -> None:
        await work

    with pytest.raises(ConnectionError):
        await finished_before(waiting(), asyncio.Event().wait(), failing())
    assert work.cancelled()


async def test_cancelled_at_the_instant_that_the_work_fails_it_leaves_no_error_unheard() -> None:
    unheard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context["message"]))
    waiting = asyncio.ensure_future(finished_before(failing(), asyncio.Event().wait()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    del waiting
    gc.collect()
    assert unheard == []


async def failing() -> None:
    raise ConnectionError("lost")
