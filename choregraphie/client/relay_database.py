"""The transactions of a relay: on a thread, or on the event loop with an asynchronous engine."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from choregraphie.errors import DatabaseRefused, DatabaseUnavailable
from choregraphie.settings import Settings
from choregraphie.storage.engine import (
    database_url,
    engine_for,
    error_text,
    is_missing,
    is_transient,
    newer_url,
    refusal,
    without_secrets,
)

if TYPE_CHECKING:
    # Its import needs greenlet, which a program without asynchronous sessions may lack.
    from sqlalchemy.ext.asyncio import AsyncEngine

# The word that stands for `{service}` in SAGA_DATABASE_URL.
CLIENT = "client"

T = TypeVar("T")


class Run(Protocol):
    """Runs a function of a connection and more arguments inside a transaction."""

    def __call__(self, work: Callable[..., T], *arguments: Any) -> Awaitable[T]: ...


class RelayDatabase:
    """The client's database. `location` names it in messages, without secrets."""

    def __init__(self, engine: "Engine | AsyncEngine", *, own: bool = False) -> None:
        """`own`: the engine was made here, so it is closed here, and its refusals are told from outages.

        Raises DatabaseRefused for a kind of database other than SQLite and PostgreSQL.
        """
        self._own = own
        self.location = without_secrets(engine.url)
        if engine.dialect.name not in {"sqlite", "postgresql"}:
            raise DatabaseRefused(f"{self.location}: a relay works on PostgreSQL or SQLite")
        # A row that another relay has marked is skipped; a stricter isolation level would raise an error instead.
        plain = own or engine.dialect.name == "sqlite"
        self._engine = engine if plain else engine.execution_options(isolation_level="READ COMMITTED")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="relay database")

    @property
    def locks_rows(self) -> bool:
        """Whether a row can be locked by itself. On SQLite a lock would keep out every other writer."""
        return self._engine.dialect.name == "postgresql"

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Run]:
        """A transaction, committed at the end of the block. Raises DatabaseUnavailable or DatabaseRefused."""
        opening = self._on_thread if isinstance(self._engine, Engine) else self._on_loop
        async with self._translated(), opening() as run:
            yield run

    async def once(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run `work` in a transaction of its own. Raises DatabaseUnavailable or DatabaseRefused.

        With a synchronous engine it begins and ends on the thread: while its commit waited for the event loop, a
        caller that blocks the loop to write to the same SQLite file would be locked out.
        """
        if not isinstance(self._engine, Engine):
            async with self.transaction() as run:
                return await run(work, *arguments)
        async with self._translated():
            return await self._call(_in_transaction, self._engine, work, arguments)

    @contextlib.asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        driver: Any = self._engine.dialect.dbapi
        try:
            yield
        except (SQLAlchemyError, driver.Error, OSError) as error:
            raise await self._meaning(error) from error

    @contextlib.asynccontextmanager
    async def _on_loop(self) -> AsyncIterator[Run]:
        engine = self._engine
        assert not isinstance(engine, Engine)  # noqa: S101 - `transaction` asks
        async with engine.connect() as connection, connection.begin():
            # Typed otherwise: it keeps the parameters of the function.
            yield cast("Run", connection.run_sync)

    @contextlib.asynccontextmanager
    async def _on_thread(self) -> AsyncIterator[Run]:
        engine = self._engine
        assert isinstance(engine, Engine)  # noqa: S101 - `transaction` asks
        opened: list[Connection] = []

        async def run(work: Callable[..., T], *arguments: Any) -> T:
            return await self._call(work, opened[0], *arguments)

        try:
            # Kept by the thread itself: when this task is cancelled meanwhile, the connection is closed below.
            await self._call(lambda: opened.append(engine.connect()))
            yield run
            await self._call(opened[0].commit)
        finally:
            await asyncio.shield(self._call(_close, opened))

    async def _call(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def _meaning(self, error: Exception) -> DatabaseUnavailable | DatabaseRefused:
        text = f"{self.location}: {error_text(error)}"
        if (
            isinstance(self._engine, Engine)
            and self._own
            and not await self._call(is_transient, error, self._engine)
        ):
            return refusal(self._engine.url, error)
        return DatabaseUnavailable(text)

    async def close(self) -> None:
        """Close the engine if it was made here."""
        if isinstance(self._engine, Engine) and self._own:
            await self._call(self._engine.dispose)


def _in_transaction(engine: Engine, work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    with engine.begin() as connection:
        return work(connection, *arguments)


def _close(connections: list[Connection]) -> None:
    for connection in connections:
        connection.close()


def relay_database(database: "Engine | AsyncEngine | str", settings: Settings) -> RelayDatabase:
    """The database of an engine or of a URL. Raises DatabaseRefused when it cannot be used."""
    if not isinstance(database, str):
        return RelayDatabase(database)
    if database != settings.database_url:
        settings = settings.model_copy(update={"database_url": database}).without_files(["database_url"])
    url = database_url(CLIENT, settings)
    if is_missing(url):
        raise DatabaseRefused(f"{without_secrets(url)}: no such database")
    return RelayDatabase(engine_for(url, newer_url=lambda: newer_url(CLIENT, settings)), own=True)
