"""The databases of the simulation, opened once per module and reset by every run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from choregraphie.simulator import Databases
from services.scenario import SCENARIO

if TYPE_CHECKING:
    from collections.abc import Iterator

# Assertions in the script are rewritten as in a test, so that a difference is shown.
pytest.register_assert_rewrite("tests.choregraphie.simulator.script")


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    opened = Databases(SCENARIO)
    yield opened
    opened.close()
