"""What is switched off during a run: cyclic garbage collection, which would dominate its time, and logs."""

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
    """Freeze what exists before the first run (programs, tables, statements): no run makes garbage of it."""
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Disable cyclic garbage collection, and collect once at the end."""
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
    """Disable logs: they would take longer than a run, and the trace shows a failure."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def run_now(call: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, and return its result."""
    try:
        call.send(None)
    except StopIteration as done:
        answer: T = done.value
        return answer
    raise AssertionError("a call of the search waited")
