"""`say` writes an event in the caller's transaction, and nothing anywhere else."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, MetaData, create_engine, insert, inspect, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.schema import CreateIndex, CreateTable

from choregraphie.client import create_outbox, say, say_async
from choregraphie.saga.registry import open_envelope
from choregraphie.storage.client_outbox import CLIENT_OUTBOX, last_number, pending
from contracts.choreography import CHOREOGRAPHY
from contracts.client import CommandeAnnulationDemandee, CommandeInitiee
from contracts.stock import StockLibere
from tests.choregraphie.client.conftest import PANIERS, async_url
from tests.support.workers import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from choregraphie.storage.client_outbox import DecidedEvent


def commande(key: str = "CMD-1") -> CommandeInitiee:
    return CommandeInitiee(
        commande_id=key, client_id="CLIENT-123", produit_id="PROD-456", quantite=2, montant=Decimal("99.99")
    )


def decided(engine: Engine) -> list[DecidedEvent]:
    with engine.connect() as connection:
        return pending(connection, 1000, 0, last_number(connection))


def paniers(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [*connection.execute(select(PANIERS.c.id)).scalars()]


def test_an_event_is_written_with_the_business_row(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(PANIERS), {"id": "P-1"})
        id_ = say(connection, commande(), source="/clients/boutique")
    (event,) = decided(engine)
    assert paniers(engine) == ["P-1"]
    assert (event.event_id, event.source, event.type) == (id_, "/clients/boutique", "commande.initiee")
    assert (event.saga, event.key) == ("commande", "CMD-1")


def test_what_is_written_is_the_envelope_that_services_read(engine: Engine) -> None:
    before = dt.datetime.now(dt.UTC)
    with engine.begin() as connection:
        id_ = say(connection, commande(), source="/clients/boutique")
    outgoing = decided(engine)[0].outgoing()
    envelope = open_envelope(outgoing.body, CHOREOGRAPHY.event_types)
    assert (envelope.id, envelope.source, envelope.subject) == (id_, "/clients/boutique", "CMD-1")
    assert envelope.data == commande()
    assert envelope.time is not None
    assert before - dt.timedelta(milliseconds=1) <= envelope.time <= dt.datetime.now(dt.UTC)
    assert (outgoing.exchange, outgoing.routing_key) == ("client.events", "commande.initiee")
    properties = outgoing.properties
    assert (properties.message_id, properties.correlation_id, properties.app_id) == (id_, "CMD-1", "boutique")


def test_a_rollback_leaves_nothing(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(insert(PANIERS), {"id": "P-1"})
        say(connection, commande())
        connection.rollback()
    assert (decided(engine), paniers(engine)) == ([], [])


def test_nothing_is_visible_to_others_before_the_commit(engine: Engine) -> None:
    with engine.begin() as connection:
        say(connection, commande())
        assert decided(engine) == []
    assert len(decided(engine)) == 1


def test_a_savepoint_that_is_rolled_back_takes_its_events_with_it(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(PANIERS), {"id": "P-1"})  # SQLite's driver begins at the first write
        say(connection, commande("CMD-1"))
        inner = connection.begin_nested()
        say(connection, commande("CMD-2"))
        inner.rollback()
    assert [event.key for event in decided(engine)] == ["CMD-1"]


def test_a_session_takes_the_event_into_its_transaction(engine: Engine) -> None:
    with Session(engine) as session:
        say(session, commande("CMD-1"))
        session.rollback()
        say(session, commande("CMD-2"))
        session.commit()
    assert [event.key for event in decided(engine)] == ["CMD-2"]


def test_a_scoped_session_does_too(engine: Engine) -> None:
    registry = scoped_session(sessionmaker(engine))
    say(registry, commande())
    registry.commit()
    registry.remove()
    assert len(decided(engine)) == 1


def test_a_session_with_a_database_of_its_own_for_the_outbox_uses_that_one(engine: Engine) -> None:
    with Session(binds={CLIENT_OUTBOX: engine}) as session:
        say(session, commande())
        session.commit()
    assert len(decided(engine)) == 1


def test_events_keep_the_order_of_their_decision(engine: Engine) -> None:
    keys = [f"CMD-{number}" for number in range(20)]
    with engine.begin() as connection:
        for key in keys:
            say(connection, commande(key))
    assert [event.key for event in decided(engine)] == keys


def test_an_id_that_this_source_has_used_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        assert say(connection, commande(), id="once", source="/clients/a") == "once"
        say(connection, commande(), id="once", source="/clients/b")
    with pytest.raises(IntegrityError), engine.begin() as connection:
        say(connection, commande(), id="once", source="/clients/a")
    assert len(decided(engine)) == 2


def test_every_event_of_a_client_can_be_said(engine: Engine) -> None:
    with engine.begin() as connection:
        say(connection, CommandeAnnulationDemandee(commande_id="CMD-1", raison="changement d'avis"))
        say(connection, StockLibere(commande_id="CMD-1", reservation_id=None), source="/services/stock")
    assert [event.exchange for event in decided(engine)] == ["client.events", "stock.events"]


@pytest.mark.parametrize(
    ("event", "source"),
    [
        (commande(), "/services/stock"),
        (StockLibere(commande_id="CMD-1", reservation_id=None), "/clients/boutique"),
        (commande(), "boutique"),
        (commande(), "/clients/" + "x" * 300),
    ],
)
def test_a_source_that_services_would_refuse_is_refused_at_once(engine: Engine, event: Any, source: str) -> None:
    with engine.begin() as connection, pytest.raises(ValueError, match=r"said by|source"):
        say(connection, event, source=source)
    assert decided(engine) == []


def test_an_event_that_services_could_not_read_is_refused_at_once(engine: Engine) -> None:
    unchecked = CommandeInitiee.model_construct(**{**commande().model_dump(), "quantite": -1})
    with engine.begin() as connection, pytest.raises(ValueError, match="quantite"):
        say(connection, unchecked)
    assert decided(engine) == []


def test_a_connection_that_commits_each_statement_is_refused(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        with pytest.raises(TypeError, match="caller's transaction"):
            say(connection, commande())
        assert decided(engine) == []


def test_the_table_is_made_once(engine: Engine) -> None:
    create_outbox(engine)
    with engine.begin() as connection:
        create_outbox(connection)
    assert inspect(engine).has_table("choregraphie_outbox")


def test_the_table_joins_the_metadata_of_a_migration_tool() -> None:
    metadata = MetaData()
    create_outbox(metadata)
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.begin() as connection:
        say(connection, commande())
    assert len(decided(engine)) == 1
    engine.dispose()


def test_the_documented_statements_make_the_table() -> None:
    document = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
    (documented,) = re.findall(r"^```sql\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    indexes = sorted(CLIENT_OUTBOX.indexes, key=lambda index: str(index.name))
    made: list[Any] = [CreateTable(CLIENT_OUTBOX), *map(CreateIndex, indexes)]
    statements = [str(one.compile(dialect=postgresql.dialect())).split() for one in made]
    assert [one.split() for one in documented.split(";\n") if one] == statements


@pytest.fixture
async def async_engine(client_url: str) -> AsyncIterator[AsyncEngine]:
    made = create_async_engine(async_url(client_url))
    yield made
    await made.dispose()


async def test_an_asynchronous_connection_takes_the_event_into_its_transaction(
    async_engine: AsyncEngine, engine: Engine
) -> None:
    async with async_engine.connect() as connection:
        await say_async(connection, commande("CMD-1"))
        await connection.rollback()
        id_ = await say_async(connection, commande("CMD-2"), source="/clients/boutique")
        await connection.commit()
    assert [(event.key, event.event_id) for event in decided(engine)] == [("CMD-2", id_)]


async def test_an_asynchronous_session_does_too(async_engine: AsyncEngine, engine: Engine) -> None:
    async with AsyncSession(async_engine) as session:
        await say_async(session, commande("CMD-1"))
        await session.rollback()
        await say_async(session, commande("CMD-2"))
        await session.commit()
    registry = async_scoped_session(async_sessionmaker(async_engine), scopefunc=lambda: "one")
    await say_async(registry, commande("CMD-3"))
    await registry.commit()
    await registry.remove()
    assert [event.key for event in decided(engine)] == ["CMD-2", "CMD-3"]


async def test_the_wrong_one_of_the_two_functions_names_the_other(
    async_engine: AsyncEngine, engine: Engine
) -> None:
    async with async_engine.connect() as connection:
        with pytest.raises(TypeError, match="say_async"):
            say(connection, commande())  # type: ignore[arg-type]
    with engine.connect() as plain, pytest.raises(TypeError, match="use say"):
        await say_async(plain, commande())  # type: ignore[arg-type]
    assert decided(engine) == []
