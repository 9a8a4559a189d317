"""What is kept out of a run: cyclic garbage collection, which would dominate its time, and logs."""

import contextlib
import gc
import logging
from collections.abc import Coroutine, Iterator
from functools import cache
from typing import Any, TypeVar

import structlog

T = TypeVar("T")


@cache
def _freeze_existing_objects() -> None:
    """What was there before the first run (programs, tables, statements) is no garbage of any: pass it over."""
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Nothing is collected meanwhile, and what was left is at the end: no moment of a run is the collector's."""
    if not gc.isenabled():
        yield
        return
    _freeze_existing_objects()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()


@contextlib.contextmanager
def without_logs() -> Iterator[None]:
    """No logs meanwhile: they would cost more than a run, and a failure is told from its trace."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def run_now(call: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        call.send(None)
    except StopIteration as done:
        answer: T = done.value
        return answer
    raise AssertionError("a call of the search waited")
