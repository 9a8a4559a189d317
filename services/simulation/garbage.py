"""The collector of reference cycles, kept out of a run: it would look through the living again and again."""

import contextlib
import gc
from collections.abc import Iterator
from functools import cache


@cache
def _keep_what_there_is() -> None:
    """What was there before the first run (programs, tables, statements) is no garbage of any: pass it over."""
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def left_until_the_end() -> Iterator[None]:
    """Nothing is collected meanwhile, and what was left is at the end: no moment of a run is the collector's."""
    if not gc.isenabled():
        yield
        return
    _keep_what_there_is()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()
