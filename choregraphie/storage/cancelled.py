"""The instances that a decider has cancelled, one after the other: there may be millions."""

import contextlib
from collections.abc import Iterator

from choregraphie.saga.envelope import Instance
from choregraphie.service.service import Service
from choregraphie.settings import Settings
from choregraphie.storage.database import open_for_reading

PAGE_ROWS = 1000


@contextlib.contextmanager
def open_cancelled(decider: Service, settings: Settings) -> Iterator[Iterator[Instance]]:
    """The instances that `decider` has cancelled, read page by page. Raises DatabaseRefused, also in the block."""
    with open_for_reading(decider, settings) as connection:
        yield iter(decider.cancelled(connection.execution_options(yield_per=PAGE_ROWS)))
