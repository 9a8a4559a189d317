"""The status of a database, read beside its worker, says why nothing can be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from choregraphie import Settings
from choregraphie.storage import engine
from choregraphie.storage.database import open_database
from choregraphie.storage.database_status import database_status
from choregraphie.storage.engine import database_url, engine_for
from tests.support.sample_service import SAMPLE_SERVICE

if TYPE_CHECKING:
    from collections.abc import Callable


def unwritable(settings: Settings) -> str:
    found = database_status(SAMPLE_SERVICE, settings)
    assert found is not None
    return found.unwritable


def test_a_lock_of_another_process_is_named_until_it_ends(
    database_for: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.5)
    settings = Settings(database_url=database_for(SAMPLE_SERVICE.name))
    open_database(SAMPLE_SERVICE, settings).close()
    assert unwritable(settings) == ""
    other = engine_for(database_url(SAMPLE_SERVICE.name, settings))
    with other.connect() as connection:
        on_file = connection.dialect.name == "sqlite"
        connection.exec_driver_sql("BEGIN IMMEDIATE" if on_file else "LOCK TABLE outbox IN SHARE MODE")
        assert "lock" in unwritable(settings)
        connection.exec_driver_sql("ROLLBACK")
    other.dispose()
    assert unwritable(settings) == ""
