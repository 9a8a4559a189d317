"""One service of the order saga on Dramatiq.

An actor for each type of event it hears, on the service's queue; it acknowledges after the work. Dramatiq has no
topic exchanges, so an event is sent once to each service that hears it, and the history gets nothing. Tuned:
publisher confirms, quorum queues (by the arguments that it declares), threads that overlap, no log lines.
Usage: python -m scripts.benchmarks.peers.dramatiq.worker SERVICE URL DATABASE CATALOGUE
"""

import logging
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.middleware import Retries

from scripts.benchmarks.peers.reactions import REACTIONS, Said, hears, read
from scripts.benchmarks.peers.sqlite_store import Store

THREADS = 8


class QuorumBroker(RabbitmqBroker):  # type: ignore[misc] # of a package that this environment lacks
    """Declares quorum queues."""

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        arguments: dict[str, Any] = super()._build_queue_arguments(queue_name)
        return arguments | {"x-queue-type": "quorum"}


def worker(service: str, url: str, store: Store) -> dramatiq.Worker:
    """The worker of one service."""
    broker = QuorumBroker(url=url, confirm_delivery=True, middleware=[Retries()])
    dramatiq.set_broker(broker)

    def carry_out(type_: str, body: str) -> None:
        for said in store.handle(read(type_, body.encode()), body.encode()):
            for queue in _hearers(said.type):
                broker.enqueue(_message(said, queue))
            store.confirmed(said.id)

    for type_ in hears(service):
        dramatiq.actor(_bound(carry_out, type_), actor_name=type_, queue_name=service, broker=broker)
    # Without the name it would also consume the queues that it publishes to.
    return dramatiq.Worker(broker, queues={service}, worker_threads=THREADS)


def _hearers(type_: str) -> list[str]:
    return [service for service, heard in REACTIONS if heard == type_]


def _message(said: Said, queue: str) -> dramatiq.Message:
    return dramatiq.Message(
        queue_name=queue, actor_name=said.type, args=(said.body.decode(),), kwargs={}, options={}
    )


def _bound(carry_out: Any, type_: str) -> Any:
    def actor(body: str) -> None:
        carry_out(type_, body)

    return actor


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    service, url, database, catalogue = sys.argv[1:]
    running = worker(service, url, Store(service, Path(database), Path(catalogue)))
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    running.start()
    ended.wait()
    running.stop()


if __name__ == "__main__":
    main()
