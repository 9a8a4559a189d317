"""Publishes the outbox of a client with confirms, in the order of decision, until it is told to stop."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Self

import structlog
from sqlalchemy import Engine

from choregraphie.amqp_url import broker_address
from choregraphie.broker import open_publisher
from choregraphie.client.relay_database import relay_database
from choregraphie.client.relay_session import Published, RelaySession
from choregraphie.errors import (
    BrokerUnavailable,
    ChoregraphieError,
    DatabaseRefused,
    DatabaseUnavailable,
    LoginRefused,
    UserError,
)
from choregraphie.failpoints import arm
from choregraphie.process.interruptible import pause
from choregraphie.retrying import RefusedLogin, SessionBackoff
from choregraphie.settings import Settings
from choregraphie.storage.client_outbox import CLIENT_OUTBOX, has_client_outbox, purge

if TYPE_CHECKING:
    # Its import needs greenlet, which a program without asynchronous sessions may lack.
    from sqlalchemy.ext.asyncio import AsyncEngine

log = structlog.get_logger()

POLL_SECONDS = 0.5
PURGE_SECONDS = 60.0
PURGE_ROWS = 500


class Relay:
    """Publishes what `say` has decided in one database. Any number of relays may work on it.

    On PostgreSQL each event is published by one of them; on SQLite several relays publish an event more than once,
    under the same id. A relay that dies between a confirm and its mark publishes the event once more. Services
    ignore the repetition. `problem`: why nothing is published now, or None.
    """

    def __init__(self, database: "Engine | AsyncEngine | str", settings: Settings) -> None:
        """`database`: the caller's engine, or a URL as in SAGA_DATABASE_URL. Raises DatabaseRefused."""
        self._database = relay_database(database, settings)
        self._settings = settings
        self._stopping = asyncio.Event()
        self._ever_open = False
        self._purge_at = 0.0
        self.problem: str | None = None

    async def run(self) -> None:
        """Publish until cancelled, reconnecting when the broker or the database is away.

        When cancelled, it publishes what is pending, for at most SAGA_DRAIN seconds; cancelled again, it ends at
        once. Raises UserError when a person must change something: the first connection is refused, or a login is
        refused for a minute.
        """
        await self._until_cancelled(patient=False)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Run as a task while the block lasts. What would end `run` is logged and tried again instead."""
        task = asyncio.create_task(self._until_cancelled(patient=True))
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def publish_pending(self) -> Published:
        """Publish what is pending now, delete what was published SAGA_OUTBOX_DAYS ago, and return.

        Raises BrokerUnavailable, DatabaseUnavailable, or UserError when a person must change something.
        """
        arm(self._settings.failpoint)
        try:
            async with self._session() as session:
                done = await session.publish(0.0)
            # Somebody may hold the database for writing; what is left is deleted at another call.
            with contextlib.suppress(DatabaseUnavailable):
                while await self._purge_batch() == PURGE_ROWS:
                    pass
            return done
        finally:
            await self._database.close()

    async def _until_cancelled(self, *, patient: bool) -> None:
        self._stopping.clear()
        work = asyncio.create_task(self._work(patient=patient))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            self._stopping.set()
            await asyncio.wait({work}, timeout=self._settings.drain)
            raise
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            await self._database.close()

    async def _work(self, *, patient: bool) -> None:
        arm(self._settings.failpoint)
        pauses, refused = SessionBackoff(), RefusedLogin()
        clock = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            opened_at = clock()
            try:
                await self._serve()
            except Exception as error:
                if not patient and not self._may_pass(error, refused):
                    raise
                await self._back_off(pauses.seconds(error, clock() - opened_at), error)

    def _may_pass(self, error: Exception, refused: RefusedLogin) -> bool:
        """Whether another session may succeed. Raises `error` when a login has been refused for too long."""
        if isinstance(error, LoginRefused) and self._ever_open:
            refused.note(error)
        # A refusal at the first try is a mistake in the settings; later, an operator is changing something.
        passing = isinstance(error, BrokerUnavailable | DatabaseUnavailable)
        return passing or (isinstance(error, UserError) and self._ever_open)

    async def _back_off(self, seconds: float, error: Exception) -> None:
        self.problem = str(error) or type(error).__name__
        expected = isinstance(error, BrokerUnavailable | DatabaseUnavailable)
        # A refusal or a fault of ours needs a person; only the latter needs its traceback.
        write = log.warning if expected else log.error
        traceback = not isinstance(error, ChoregraphieError)
        broker = broker_address(self._settings.current("amqp_url")).place
        write(
            "relay.session_lost",
            broker=broker,
            database=self._database.location,
            error=self.problem,
            again_in_s=round(seconds, 1),
            exc_info=error if traceback else None,
        )
        await pause(seconds, self._stopping)

    async def _serve(self) -> None:
        """Run one session until it is lost or the relay stops."""
        clock = asyncio.get_running_loop().time
        async with self._session() as session:
            log.info("relay.ready", database=self._database.location)
            while True:
                # What was committed before the stop is published in this pass, the last one.
                stopping = self._stopping.is_set()
                done = await session.publish(clock())
                if done.published:
                    log.info("relay.published", events=done.published)
                self.problem = f"the broker does not take {done.left} events" if done.left else None
                if stopping:
                    return
                await self._purge(clock())
                await pause(POLL_SECONDS, self._stopping)

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[RelaySession]:
        if not await self._database.once(has_client_outbox):
            raise DatabaseRefused(
                f"{self._database.location}: no table {CLIENT_OUTBOX.name};"
                " choregraphie.client.create_outbox makes it"
            )
        async with open_publisher(self._settings, "relay") as publisher:
            self._ever_open = True
            yield RelaySession(publisher, self._database)

    async def _purge(self, now: float) -> None:
        if now >= self._purge_at:
            deleted = await self._purge_batch()
            # A full batch is followed by the next one at the next pass.
            self._purge_at = now + (PURGE_SECONDS if deleted < PURGE_ROWS else 0)

    async def _purge_batch(self) -> int:
        """Delete a batch of what was published SAGA_OUTBOX_DAYS ago; returns how many."""
        before = dt.datetime.now(dt.UTC) - dt.timedelta(days=self._settings.outbox_days)
        return await self._database.once(purge, before, PURGE_ROWS)
