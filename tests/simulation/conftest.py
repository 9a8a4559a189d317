"""The databases of the simulation: opened once, set back by every run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.application import SERVICES
from services.simulation import Books

if TYPE_CHECKING:
    from collections.abc import Iterator

# What differs between the two brokers is shown, as in a test of its own.
pytest.register_assert_rewrite("tests.simulation.script")


@pytest.fixture(scope="module")
def books() -> Iterator[Books]:
    opened = Books(SERVICES.values())
    yield opened
    opened.close()
