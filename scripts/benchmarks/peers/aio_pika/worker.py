"""One service of the order saga in a loop written by hand on aio-pika, with the care that the library asks for.

Two connections, so that a blocked publisher does not block acknowledgements; publisher confirms; a prefetch, so
that deliveries overlap while they wait for their confirms; acknowledged after the events are confirmed.
Usage: python -m scripts.benchmarks.peers.aio_pika.worker SERVICE URL DATABASE CATALOGUE
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aio_pika
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage

from scripts.benchmarks.peers.events import CONTENT_TYPE, Envelope
from scripts.benchmarks.peers.reactions import Said, read
from scripts.benchmarks.peers.sqlite_store import Store

PREFETCH = 100
Handle = Callable[[Envelope[Any], bytes], Awaitable[list[Said]]]


async def serve(service: str, url: str, handle: Handle, confirmed: Callable[[str], None]) -> None:
    """Consume until the process is ended. `handle` commits a delivery; `confirmed` hears the ids of events."""
    async with await aio_pika.connect_robust(url) as publishing, await aio_pika.connect_robust(url) as consuming:
        out = await publishing.channel(publisher_confirms=True, on_return_raises=True)
        exchange = await out.get_exchange(f"{service}.events", ensure=False)
        incoming = await consuming.channel(publisher_confirms=False)
        await incoming.set_qos(prefetch_count=PREFETCH)
        queue = await incoming.get_queue(f"{service}.inbox", ensure=False)

        async def on_message(message: AbstractIncomingMessage) -> None:
            async with message.process(requeue=True):
                envelope = read(message.routing_key or "", message.body)
                for said in await handle(envelope, message.body):
                    await publish(exchange, said, service)
                    confirmed(said.id)

        await queue.consume(on_message)
        await asyncio.Future()


async def publish(exchange: AbstractExchange, said: Said, service: str) -> None:
    """Publish an event and wait for its confirm."""
    message = aio_pika.Message(
        said.body,
        content_type=CONTENT_TYPE,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=said.id,
        type=said.type,
        correlation_id=said.key,
        app_id=service,
    )
    await exchange.publish(message, said.type, mandatory=True)


def main() -> None:
    service, url, database, catalogue = sys.argv[1:]
    store = Store(service, Path(database), Path(catalogue))

    async def handle(envelope: Envelope[Any], body: bytes) -> list[Said]:
        return store.handle(envelope, body)

    asyncio.run(serve(service, url, handle, store.confirmed))


if __name__ == "__main__":
    main()
