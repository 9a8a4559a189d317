"""One service of the order saga in the careful loop on aio-pika, each delivery in a transaction of asyncpg.

Deliveries overlap, each on a connection of the pool, so that PostgreSQL writes the commits of several to disk at
once. Statements are prepared once a connection, and a connection goes back to the pool without a reset.
Usage: python -m scripts.benchmarks.peers.asyncpg.worker SERVICE URL DATABASE CATALOGUE
"""

import asyncio
import functools
import itertools
import sys
import tomllib
from pathlib import Path
from typing import Any

import asyncpg

from scripts.benchmarks.peers.aio_pika.worker import serve
from scripts.benchmarks.peers.events import Envelope
from scripts.benchmarks.peers.reactions import MARK, Said, handled, now_us, seed
from scripts.benchmarks.peers.tables import BUSINESS, MACHINERY, on_postgresql

CONNECTIONS = 10


@functools.cache
def numbered(statement: str) -> str:
    """The statement with the placeholders of PostgreSQL: $1, $2."""
    first, *others = statement.split("?")
    return first + "".join(f"${number}{part}" for number, part in zip(itertools.count(1), others, strict=False))


async def carry_out(connection: Any, service: str, envelope: Envelope[Any], body: bytes) -> list[Said]:
    """Execute the statements of a delivery one after another, as each needs the row of the one before."""
    steps, row = handled(service, envelope, body), None
    while True:
        try:
            statement, values = steps.send(row)
        except StopIteration as end:
            said: list[Said] = end.value
            return said
        row = await connection.fetchrow(numbered(statement), *values)


class Store:
    """The database of one service."""

    def __init__(self, service: str, pool: Any) -> None:
        self._service = service
        self._pool = pool
        self._confirmed: list[str] = []

    async def handle(self, envelope: Envelope[Any], body: bytes) -> list[Said]:
        """Carry out one delivery in a transaction. Returns what is to be published now."""
        async with self._pool.acquire() as connection:
            confirmed, self._confirmed = self._confirmed, []
            try:
                async with connection.transaction():
                    said = await carry_out(connection, self._service, envelope, body)
                    if confirmed:
                        now = now_us()
                        await connection.executemany(numbered(MARK), [(now, event_id) for event_id in confirmed])
            except BaseException:
                self._confirmed += confirmed
                raise
            return said

    def confirmed(self, event_id: str) -> None:
        """The broker has confirmed the event: the next transaction marks it."""
        self._confirmed.append(event_id)


async def set_up(pool: Any, service: str, catalogue: dict[str, Any]) -> None:
    """Make the tables, and put the starting data into them."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(on_postgresql(MACHINERY + BUSINESS[service]))
        for statement, values in seed(service, catalogue):
            await connection.execute(numbered(statement), *values)


async def without_reset(connection: Any) -> None:
    """A delivery leaves nothing in its session, so a reset would be a round trip for nothing."""


async def run(service: str, url: str, database: str, catalogue: dict[str, Any]) -> None:
    pool = asyncpg.create_pool(database, min_size=CONNECTIONS, max_size=CONNECTIONS, reset=without_reset)
    async with pool:
        await set_up(pool, service, catalogue)
        store = Store(service, pool)
        await serve(service, url, store.handle, store.confirmed)


def main() -> None:
    service, url, database, catalogue = sys.argv[1:]
    asyncio.run(run(service, url, database, tomllib.loads(Path(catalogue).read_text())))


if __name__ == "__main__":
    main()
