"""The collector of reference cycles, kept out of a run: it would look through the living again and again."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def left_until_the_end() -> Iterator[None]:
    """Nothing is collected meanwhile, and what was left is at the end: no moment of a run is the collector's."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    gc.freeze()  # what was there before is no garbage of the run
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()
        gc.enable()
