"""The relay publishes what was decided, on a real broker, from SQLite and from PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, func, select, update
from sqlalchemy.ext.asyncio import create_async_engine

from choregraphie import Settings
from choregraphie.client import Published, Relay, create_outbox, say
from choregraphie.saga.registry import open_envelope
from choregraphie.storage.client_outbox import CLIENT_OUTBOX
from contracts.choreography import CHOREOGRAPHY
from tests.choregraphie.client.conftest import async_url
from tests.choregraphie.client.test_say import commande

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.support.foreign_client import ReceivedMessage, Subscription


def decide(engine: Engine, *keys: str) -> list[str]:
    """Say an order for each of `keys`, in one transaction; returns the ids of the events."""
    with engine.begin() as connection:
        return [say(connection, commande(key), source="/clients/boutique") for key in keys]


def pending(engine: Engine) -> int:
    query = select(func.count()).select_from(CLIENT_OUTBOX).where(CLIENT_OUTBOX.c.published_at.is_(None))
    with engine.connect() as connection:
        return connection.execute(query).scalar_one()


async def keys(heard: Subscription, count: int) -> list[str]:
    """The keys of the first `count` events that arrive, in their order."""
    received = await asyncio.to_thread(heard.count, count)
    return [message.json["subject"] for message in received]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - what is waited for is in a database
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(relay.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_pending_events_are_published_once_in_the_order_of_decision(
    engine: Engine, client_url: str, settings: Settings, heard: Subscription
) -> None:
    wanted = [f"CMD-{number}" for number in range(600)]
    decide(engine, *wanted)
    relay = Relay(client_url, settings)
    assert await relay.publish_pending() == Published(600, 0)
    assert await relay.publish_pending() == Published(0, 0)
    assert await keys(heard, 600) == wanted
    assert pending(engine) == 0


async def test_a_published_event_is_what_services_read(
    engine: Engine, client_url: str, settings: Settings, heard: Subscription
) -> None:
    (id_,) = decide(engine, "CMD-1")
    await Relay(client_url, settings).publish_pending()
    (message,) = await asyncio.to_thread(heard.count, 1)
    envelope = open_envelope(message.body, CHOREOGRAPHY.event_types)
    assert (envelope.id, envelope.source, envelope.data) == (id_, "/clients/boutique", commande("CMD-1"))
    assert (message.key, message.properties.message_id) == ("commande.initiee", id_)
    assert (message.properties.delivery_mode, message.properties.app_id) == (2, "boutique")


async def test_a_running_relay_publishes_what_is_decided_meanwhile(
    engine: Engine, settings: Settings, heard: Subscription
) -> None:
    async with running(Relay(engine, settings)):
        decide(engine, "CMD-1")
        assert await keys(heard, 1) == ["CMD-1"]
        decide(engine, "CMD-2")
        assert await keys(heard, 2) == ["CMD-1", "CMD-2"]


async def test_an_asynchronous_engine_is_used_on_the_loop(
    engine: Engine, client_url: str, settings: Settings, heard: Subscription
) -> None:
    own = create_async_engine(async_url(client_url))
    async with Relay(own, settings).running():
        decide(engine, "CMD-1", "CMD-2")
        assert await keys(heard, 2) == ["CMD-1", "CMD-2"]
        await until(lambda: pending(engine) == 0)
    await own.dispose()


async def test_an_event_that_is_not_committed_is_not_published(
    engine: Engine, settings: Settings, heard: Subscription
) -> None:
    with engine.connect() as connection:
        say(connection, commande("CMD-1"))
        assert await Relay(engine, settings).publish_pending() == Published(0, 0)
        connection.rollback()
    decide(engine, "CMD-2")
    assert await Relay(engine, settings).publish_pending() == Published(1, 0)
    assert await keys(heard, 1) == ["CMD-2"]


async def test_a_cancelled_relay_publishes_what_is_pending_first(
    engine: Engine, settings: Settings, heard: Subscription
) -> None:
    relay = Relay(engine, settings)
    async with running(relay):
        decide(engine, "CMD-0")
        await keys(heard, 1)
        decide(engine, *[f"CMD-{number}" for number in range(1, 300)])
    assert pending(engine) == 0
    assert len(await keys(heard, 300)) == 300


async def test_several_relays_on_postgresql_publish_each_event_once(
    postgresql: Engine, settings: Settings, heard: Subscription
) -> None:
    engine = postgresql
    ids: list[str] = []
    relays = [Relay(engine, settings) for _ in range(3)]
    async with contextlib.AsyncExitStack() as stack:
        for relay in relays:
            await stack.enter_async_context(running(relay))
        for batch in range(20):
            ids += decide(engine, *[f"CMD-{batch}-{number}" for number in range(50)])
            await asyncio.sleep(0)
        await until(lambda: pending(engine) == 0)
    received = await asyncio.to_thread(heard.count, len(ids))
    assert Counter(message.json["id"] for message in received) == Counter(ids)


async def test_several_relays_on_sqlite_leave_out_no_event(
    tmp_path: Path, settings: Settings, heard: Subscription
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/boutique.sqlite3")
    create_outbox(engine)
    ids: list[str] = []
    async with Relay(engine, settings).running(), Relay(engine, settings).running():
        for batch in range(5):
            ids += decide(engine, *[f"CMD-{batch}-{number}" for number in range(20)])
        await until(lambda: pending(engine) == 0)

    def all_of_them(received: list[ReceivedMessage]) -> bool:
        return {message.json["id"] for message in received} == {*ids}

    await asyncio.to_thread(heard.until, all_of_them)
    engine.dispose()


async def test_published_events_are_deleted_after_their_days(
    engine: Engine, settings: Settings, heard: Subscription
) -> None:
    decide(engine, "CMD-1", "CMD-2")
    await Relay(engine, settings).publish_pending()
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=settings.outbox_days, minutes=1)
    with engine.begin() as connection:
        first = CLIENT_OUTBOX.c.key == "CMD-1"
        connection.execute(update(CLIENT_OUTBOX).where(first).values(published_at=old))

    def kept() -> list[Any]:
        with engine.connect() as connection:
            return [*connection.execute(select(CLIENT_OUTBOX.c.key)).scalars()]

    async with running(Relay(engine, settings)):
        await until(lambda: kept() == ["CMD-2"])
    await keys(heard, 2)


async def test_a_relay_that_runs_once_deletes_them_too(
    engine: Engine, settings: Settings, heard: Subscription
) -> None:
    decide(engine, "CMD-1")
    await Relay(engine, settings).publish_pending()
    await keys(heard, 1)
    with engine.begin() as connection:
        connection.execute(update(CLIENT_OUTBOX).values(published_at=dt.datetime(1970, 1, 2, tzinfo=dt.UTC)))
    await Relay(engine, settings).publish_pending()
    with engine.connect() as connection:
        assert connection.execute(select(CLIENT_OUTBOX.c.key)).all() == []
