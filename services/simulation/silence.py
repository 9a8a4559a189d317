"""No logs for a while: they would cost more than a run, and a failure is told from the diary."""

import contextlib
import logging
from collections.abc import Iterator

import structlog


@contextlib.contextmanager
def silence() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
