"""The bugs that chaos runs have found, each as its smallest test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sqlite3
from typing import TYPE_CHECKING

import aiormq
import pytest

from choregraphie import BrokerUnavailable, DatabaseUnavailable, Settings
from choregraphie.broker import open_session
from choregraphie.broker.connection import connected, in_time
from choregraphie.saga.topology import EXCHANGE_HEADER
from choregraphie.storage import open_database
from scripts.nemesis.orders import ORDERED, make_order
from services.application import APP
from tests.chaos.in_process import InProcessSaga

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path
    from typing import Any

    from scripts.nemesis.management import Management


@pytest.fixture
def saga(tmp_path: Path) -> Iterator[InProcessSaga]:
    opened = InProcessSaga(tmp_path / "saga")
    yield opened
    opened.close()


@pytest.mark.timeout(60)
async def test_a_cycle_of_exception_contexts_does_not_hang_the_worker() -> None:
    first, second = ConnectionResetError("reset"), ConnectionError("lost")
    first.__context__, second.__context__ = second, first

    async def fails() -> None:
        raise first

    with pytest.raises(BrokerUnavailable):
        await in_time(fails())


async def test_a_bare_exception_of_the_client_library_is_a_lost_connection() -> None:
    async def fails() -> None:
        raise Exception

    with pytest.raises(BrokerUnavailable):
        await in_time(fails())


async def test_a_cancellation_by_the_client_library_is_broker_unavailable_after_a_failed_task_group_too() -> None:
    """A failed group leaves its task marked as cancelled; the worker then took the library's for its own."""

    async def lost() -> None:
        raise BrokerUnavailable("the first session")

    async def inside() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(lost())
            await asyncio.sleep(10)

    with contextlib.suppress(ExceptionGroup):
        await inside()
    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(lost())
    waiting = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(waiting.cancel)
    with pytest.raises(BrokerUnavailable):
        await in_time(waiting)


async def answers_despite_cancellation() -> str:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return "the answer had come already"
    raise AssertionError


async def fails_when_cancelled() -> str:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise aiormq.exceptions.ChannelInvalidStateError("closed by RPC timeout") from None
    raise AssertionError


@pytest.mark.parametrize("client", [answers_despite_cancellation, fails_when_cancelled])
async def test_a_cancelled_task_stops_whatever_the_client_library_does(
    client: Callable[[], Coroutine[Any, Any, str]],
) -> None:
    """A console that was quit went on reading, and its process never ended."""
    waiting = asyncio.create_task(in_time(client()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_deleted_retry_queue_ends_the_session(amqp_url: str, management: Management) -> None:
    """The stream still takes what is published to the retry exchange, so the broker returns nothing."""
    settings = Settings(amqp_url=amqp_url)
    async with open_session(settings, "stock", APP.topology(settings)) as session:
        await session.consume()
        assert await session.is_consuming()
        management.delete_queue("stock.retry.1")
        with pytest.raises(BrokerUnavailable):
            await session.is_consuming()


async def test_a_connection_lost_before_its_channel_is_opened_is_broker_unavailable(amqp_url: str) -> None:
    async with connected(Settings(amqp_url=amqp_url), "test") as connection:
        assert connection.transport is not None
        await connection.transport.connection.close()
        with pytest.raises(BrokerUnavailable):
            await in_time(connection.channel())


def test_a_forged_message_that_an_operator_sends_back_is_dead_lettered_again(saga: InProcessSaga) -> None:
    (initiee,) = make_order("plain", "CMD-1", random.Random(1))
    content = json.loads(initiee.body)
    content["type"], content["source"] = "commande.annulee", "/services/commande"
    content["data"] = {"commande_id": "CMD-1", "raison": "forgée"}
    saga.publish(ORDERED, json.dumps(content).encode())
    saga.work("stock")
    dead_letter = saga.take("stock.dlq")
    assert dead_letter.headers[EXCHANGE_HEADER] == "client.events"
    saga.send_back("stock", dead_letter)
    saga.work("stock")
    assert [found.reason for found in saga.dead_letters() if found.service == "stock"] == ["wrong_sender"]


def test_an_idle_worker_marks_its_published_events(saga: InProcessSaga) -> None:
    """The confirm was never recorded in an idle worker, and the event was published again every 30 s."""
    saga.publish(ORDERED, make_order("plain", "CMD-1", random.Random(1))[0].body)
    saga.work("stock", idle_seconds=1.5)
    _, databases = saga.record(services=("stock",))
    assert [(row.type, row.published) for row in databases.of("stock").outbox] == [("stock.reserve", True)]


def test_a_database_locked_at_the_start_of_a_worker_is_retried(
    saga: InProcessSaga, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("choregraphie.storage.engine.BUSY_SECONDS", 0.1)
    saga.work("stock")
    with contextlib.closing(sqlite3.connect(tmp_path / "saga" / "stock.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable, match="locked"):
            open_database(APP.by_name["stock"], saga.settings)
        other.execute("ROLLBACK")
    open_database(APP.by_name["stock"], saga.settings).close()
