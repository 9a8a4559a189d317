"""The sample service in a harness, on SQLite and on PostgreSQL."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from choregraphie import Settings
from choregraphie.testing import ServiceHarness, open_harness
from scripts.nemesis.private_postgres import PrivatePostgres, private_postgres
from tests.support.lost_replies import LostReplies
from tests.support.sample_service import SAMPLE_SERVICE


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path}/{{service}}.sqlite3", retry_delays=(1, 5))


@pytest.fixture
def harness(settings: Settings, database_for: Callable[[str], str]) -> Iterator[ServiceHarness]:
    wanted = settings.model_copy(update={"database_url": database_for(SAMPLE_SERVICE.name)})
    with open_harness(SAMPLE_SERVICE, wanted) as ready:
        yield ready


@pytest.fixture
def lost_replies(monkeypatch: pytest.MonkeyPatch) -> LostReplies:
    return LostReplies(monkeypatch)


@pytest.fixture(scope="session")
def french_postgres() -> Iterator[PrivatePostgres]:
    """A server whose messages are in French."""
    with private_postgres(lc_messages="fr_FR.UTF-8") as server:
        yield server
