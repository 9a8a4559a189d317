"""A session of a relay against a broker that confirms, returns or loses what the test says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import Connection, Engine, create_engine, insert

from choregraphie import BrokerUnavailable, DatabaseRefused, Settings
from choregraphie.client import Published, Relay, create_outbox, relay_session, say
from choregraphie.client.relay_database import RelayDatabase
from choregraphie.client.relay_session import RelaySession
from choregraphie.messaging import Outgoing, PublishOutcome
from choregraphie.storage.client_outbox import mark_published
from tests.choregraphie.client.conftest import BUSINESS, PANIERS
from tests.choregraphie.client.test_say import commande

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Longer than any pause between two tries.
LONG_AFTER = 1000.0


class FakePublisher:
    """`answers`: the outcome by key, if not a confirm. `meanwhile` is called while events are published."""

    def __init__(self) -> None:
        self.answers: dict[str, PublishOutcome] = {}
        self.meanwhile: Callable[[], object] = lambda: None
        self.published: list[str] = []

    async def publish(self, batch: Sequence[Outgoing]) -> list[PublishOutcome]:
        self.meanwhile()
        keys = [str(message.properties.correlation_id) for message in batch]
        self.published += keys
        return [self.answers.get(key, PublishOutcome.CONFIRMED) for key in keys]

    async def has_exchange(self, _: str) -> bool:
        return True


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = create_engine(f"sqlite:///{tmp_path}/boutique.sqlite3", connect_args={"timeout": 0})
    BUSINESS.create_all(made)
    create_outbox(made)
    yield made
    made.dispose()


@pytest.fixture
def publisher() -> FakePublisher:
    return FakePublisher()


@pytest.fixture
def session(engine: Engine, publisher: FakePublisher) -> RelaySession:
    return RelaySession(cast("Any", publisher), RelayDatabase(engine))


def decide(engine: Engine, *keys: str) -> None:
    with engine.begin() as connection:
        for key in keys:
            say(connection, commande(key))


async def test_what_the_broker_did_not_take_is_tried_again_later_and_newer_events_go_ahead(
    engine: Engine, session: RelaySession, publisher: FakePublisher
) -> None:
    publisher.answers["CMD-1"] = PublishOutcome.RETURNED
    decide(engine, "CMD-1", "CMD-2")
    assert await session.publish(0.0) == Published(1, 1)
    decide(engine, "CMD-3")
    assert await session.publish(0.1) == Published(1, 0)
    assert publisher.published == ["CMD-1", "CMD-2", "CMD-3"]
    publisher.answers.clear()
    assert await session.publish(LONG_AFTER) == Published(1, 0)
    assert publisher.published[-1] == "CMD-1"


async def test_after_a_loss_only_what_was_confirmed_is_marked(
    engine: Engine, session: RelaySession, publisher: FakePublisher
) -> None:
    publisher.answers["CMD-2"] = PublishOutcome.UNKNOWN
    decide(engine, "CMD-1", "CMD-2", "CMD-3")
    with pytest.raises(BrokerUnavailable, match="1 events were not confirmed"):
        await session.publish(0.0)
    publisher.answers.clear()
    assert await session.publish(LONG_AFTER) == Published(1, 0)
    assert publisher.published == ["CMD-1", "CMD-2", "CMD-3", "CMD-2"]


async def test_a_publication_does_not_keep_the_caller_from_its_file(
    engine: Engine, session: RelaySession, publisher: FakePublisher
) -> None:
    def write() -> None:
        with engine.begin() as connection:
            connection.execute(insert(PANIERS), {"id": "P-1"})

    publisher.meanwhile = write
    decide(engine, "CMD-1")
    assert await session.publish(0.0) == Published(1, 0)


async def test_a_caller_that_blocks_the_loop_to_write_is_not_locked_out(
    engine: Engine, publisher: FakePublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked, written = threading.Event(), []
    patient = create_engine(engine.url, connect_args={"timeout": 2})

    def mark(connection: Connection, *rest: Any) -> None:
        mark_published(connection, *rest)
        marked.set()

    def write() -> None:
        assert marked.wait(60)
        decide(patient, "CMD-2")
        written.append("CMD-2")

    monkeypatch.setattr(relay_session, "mark_published", mark)
    publisher.meanwhile = lambda: asyncio.get_running_loop().call_soon(write)
    decide(engine, "CMD-1")
    assert await RelaySession(cast("Any", publisher), RelayDatabase(engine)).publish(0.0) == Published(1, 0)
    assert written == ["CMD-2"]
    patient.dispose()


async def test_a_pass_ends_although_events_are_decided_without_a_pause(
    engine: Engine, session: RelaySession, publisher: FakePublisher
) -> None:
    publisher.meanwhile = lambda: decide(engine, *(f"MORE-{number}" for number in range(300)))
    decide(engine, *(f"CMD-{number}" for number in range(300)))
    assert await session.publish(0.0) == Published(300, 0)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite:///nowhere/boutique.sqlite3", "no such database"),
        ("postgresql+psycopg2://localhost/boutique", "SAGA_DATABASE_URL is no URL such as"),
        ("no url", "SAGA_DATABASE_URL is no URL such as"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_in_one_line(url: str, reason: str) -> None:
    with pytest.raises(DatabaseRefused, match=reason) as refused:
        Relay(url, Settings())
    assert len(str(refused.value).splitlines()) == 1


def test_another_kind_of_database_is_refused() -> None:
    other = cast("Any", type("Other", (), {"url": create_engine("sqlite://").url}))
    other.dialect = type("Dialect", (), {"name": "mysql"})
    with pytest.raises(DatabaseRefused, match="PostgreSQL or SQLite"):
        RelayDatabase(other)
