"""One service of the order saga on FastStream.

As its documentation writes services: a subscriber on the queue, a handler for each type of event chosen by
`filter`, its parameter annotated with the pydantic model, acknowledged after the handler. Tuned: a decoder that
validates the bytes at once, a prefetch that lets handlers overlap while they wait for confirms, no log lines.
Usage: python -m scripts.benchmarks.peers.faststream.worker SERVICE URL DATABASE CATALOGUE
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from faststream import AckPolicy, FastStream
from faststream.rabbit import Channel, ExchangeType, RabbitBroker, RabbitExchange, RabbitMessage, RabbitQueue

from scripts.benchmarks.peers.events import CONTENT_TYPE, envelope_of
from scripts.benchmarks.peers.reactions import EVENTS, Said, hears, read
from scripts.benchmarks.peers.sqlite_store import Store

PREFETCH = 100


def application(service: str, url: str, store: Store) -> FastStream:
    """The application of one service. The topology is declared by the benchmark, and only looked up here."""
    broker = RabbitBroker(url, logger=None, default_channel=Channel(on_return_raises=True), app_id=service)
    exchange = RabbitExchange(f"{service}.events", type=ExchangeType.TOPIC, durable=True, declare=False)

    async def publish(said: Said) -> None:
        await broker.publish(
            said.body,
            exchange=exchange,
            routing_key=said.type,
            persist=True,
            mandatory=True,
            content_type=CONTENT_TYPE,
            message_id=said.id,
            message_type=said.type,
            correlation_id=said.key,
        )

    subscriber = broker.subscriber(
        RabbitQueue(f"{service}.inbox", declare=False),
        channel=Channel(prefetch_count=PREFETCH),
        ack_policy=AckPolicy.NACK_ON_ERROR,
        decoder=decoder(),
    )
    for type_ in hears(service):
        subscriber(handler(store, type_, publish), filter=is_of(type_))
    return FastStream(broker, logger=None)


def decoder() -> Callable[[RabbitMessage], Awaitable[Any]]:
    """Validates the bytes of a message."""

    async def decode(message: RabbitMessage) -> Any:
        return read(message.raw_message.routing_key or "", message.body)

    return decode


def handler(store: Store, type_: str, publish: Callable[[Said], Awaitable[None]]) -> Callable[..., Any]:
    """The handler of the events of one type."""

    async def handle(envelope: Any, message: RabbitMessage) -> None:
        for said in store.handle(envelope, message.body):
            await publish(said)
            store.confirmed(said.id)

    handle.__annotations__["envelope"] = envelope_of(EVENTS[type_])
    return handle


def is_of(type_: str) -> Callable[[RabbitMessage], bool]:
    """Whether a message is of that type."""
    return lambda message: bool(message.raw_message.routing_key == type_)


def main() -> None:
    service, url, database, catalogue = sys.argv[1:]
    store = Store(service, Path(database), Path(catalogue))
    asyncio.run(application(service, url, store).run())


if __name__ == "__main__":
    main()
