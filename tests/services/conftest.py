"""A service in a harness: the real delivery path, a real database of its own, on SQLite and on PostgreSQL."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from choregraphie import Service
from choregraphie.testing import ServiceHarness, open_harness
from services.application import APP
from services.settings import OrderSettings

MakeHarness = Callable[..., ServiceHarness]


@pytest.fixture
def make_harness(tmp_path: Path, database_for: Callable[[str], str]) -> Iterator[MakeHarness]:
    """Return `make_harness(SERVICE)`, which also takes the text of a catalogue, externals and settings."""
    with contextlib.ExitStack() as open_harnesses:

        def make(service: Service, catalogue: str = "", externals: Any = None, **more: Any) -> ServiceHarness:
            if catalogue:
                file = tmp_path / "catalogue.toml"
                file.write_text(catalogue, encoding="utf-8")
                more["catalogue"] = file
            settings = APP.with_seed(OrderSettings(database_url=database_for(service.name), **more))
            return open_harnesses.enter_context(open_harness(service, settings, externals))

        yield make
