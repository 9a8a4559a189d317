"""One service of the order saga on taskiq with taskiq-aio-pika.

A task for each type of event it hears, named by that type, so that the topic exchanges give it to every service.
Its receiver runs in this process, as its documentation shows for programs of one's own, and acknowledges after the
work. Tuned: a prefetch that lets tasks overlap while they wait for confirms, no log lines.
Usage: python -m scripts.benchmarks.peers.taskiq.worker SERVICE URL DATABASE CATALOGUE
"""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

from taskiq.acks import AcknowledgeType
from taskiq.api import run_receiver_task
from taskiq.kicker import AsyncKicker
from taskiq_aio_pika import AioPikaBroker, Exchange, Queue

from scripts.benchmarks.peers.reactions import hears, read
from scripts.benchmarks.peers.sqlite_store import Store

PREFETCH = 100


async def serve(service: str, url: str, store: Store) -> None:
    """Work until the process is ended. The topology is declared by the benchmark, and only looked up here."""
    inbox, dlq = Queue(name=f"{service}.inbox", declare=False), Queue(name=f"{service}.dlq", declare=False)
    exchange = Exchange(name=f"{service}.events", declare=False)
    parts = {"exchange": exchange, "dead_letter_queue": dlq}
    # With one queue of its own, a broker sends everything to it: the one that publishes names two.
    out = AioPikaBroker(url, task_queues=[inbox, dlq], label_for_routing="topic", **parts)
    broker = AioPikaBroker(url, task_queues=[inbox], qos=PREFETCH, **parts)

    async def carry_out(type_: str, body: str) -> None:
        for said in store.handle(read(type_, body.encode()), body.encode()):
            await AsyncKicker(said.type, out, {"topic": said.type}).kiq(said.body.decode())
            store.confirmed(said.id)

    for type_ in hears(service):
        broker.register_task(_bound(carry_out, type_), task_name=type_)
    await out.startup()
    ack = AcknowledgeType.WHEN_EXECUTED
    await run_receiver_task(broker, run_startup=True, ack_time=ack, max_async_tasks=PREFETCH)


def _bound(carry_out: Any, type_: str) -> Any:
    async def task(body: str) -> None:
        await carry_out(type_, body)

    return task


def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    service, url, database, catalogue = sys.argv[1:]
    asyncio.run(serve(service, url, Store(service, Path(database), Path(catalogue))))


if __name__ == "__main__":
    main()
