"""Desks: a service, the real delivery path, a real database of its own, on SQLite and on PostgreSQL."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from choregraphie import Service, Settings
from choregraphie.testing import ServiceHarness, open_harness

OpenDesk = Callable[..., ServiceHarness]


@pytest.fixture
def sit_down(tmp_path: Path, database_for: Callable[[str], str]) -> Iterator[OpenDesk]:
    """Opens desks: `sit_down(SERVICE)`, with a catalogue's text and settings when they matter."""
    with contextlib.ExitStack() as open_desks:

        def sit(service: Service, catalogue: str = "", externals: Any = None, **more: Any) -> ServiceHarness:
            if catalogue:
                file = tmp_path / "catalogue.toml"
                file.write_text(catalogue, encoding="utf-8")
                more["catalogue"] = file
            settings = Settings(database_url=database_for(service.name), **more)
            return open_desks.enter_context(open_harness(service, settings, externals))

        yield sit
