"""The virtual loop: time jumps, nothing waits, and everything happens in one order."""

import asyncio
import time

import pytest

from choregraphie.simulator.clock import Deadlock, VirtualLoop


def test_an_hour_takes_no_time() -> None:
    loop = VirtualLoop()
    began = time.monotonic()
    loop.run_until_complete(asyncio.sleep(3600))
    loop.close()
    assert loop.now == pytest.approx(3600)
    assert time.monotonic() - began < 60


def test_a_timeout_fires_at_its_virtual_time() -> None:
    async def too_long() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(60)
        return asyncio.get_running_loop().time()

    loop = VirtualLoop()
    assert loop.run_until_complete(too_long()) == pytest.approx(5)
    loop.close()


def test_waiting_forever_is_a_deadlock_error() -> None:
    loop = VirtualLoop()
    waiting = loop.create_future()
    with pytest.raises(Deadlock):
        loop.run_until_complete(waiting)
    loop.close()


def test_an_executor_runs_inline_and_passes_its_exception_on() -> None:
    async def ask() -> list[object]:
        loop = asyncio.get_running_loop()
        done = await loop.run_in_executor(None, lambda: "here")
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 // 0)
        return [done, loop.time()]

    loop = VirtualLoop()
    assert loop.run_until_complete(ask()) == ["here", 0.0]
    loop.close()
