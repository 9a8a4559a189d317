"""One service of the order saga on Celery.

A task for each type of event it hears, named by that type, so that the topic exchanges give it to every service.
As its documentation recommends for work that must not be lost: `acks_late`, publisher confirms, quorum queues.
Tuned: threads, so that tasks overlap while they wait for confirms; no results, no gossip, no log lines.
Usage: python -m scripts.benchmarks.peers.celery.worker SERVICE URL DATABASE CATALOGUE
"""

import sys
from pathlib import Path
from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from scripts.benchmarks.peers.reactions import hears, read
from scripts.benchmarks.peers.sqlite_store import Store

THREADS = 8
PREFETCH_PER_THREAD = 12


def application(service: str, url: str, store: Store) -> Celery:
    """The application of one service. The topology is declared by the benchmark."""
    app = Celery(service, broker=url)
    inbox = f"{service}.inbox"
    quorum = {"x-queue-type": "quorum"}  # by which Celery knows that a global prefetch is refused
    app.conf.update(
        task_queues=[Queue(inbox, Exchange("", no_declare=True), queue_arguments=quorum, no_declare=True)],
        task_default_queue=inbox,
        task_create_missing_queues=False,
        task_acks_late=True,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        worker_prefetch_multiplier=PREFETCH_PER_THREAD,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        broker_transport_options={"confirm_publish": True},
        broker_pool_limit=THREADS,
        broker_connection_retry_on_startup=True,
    )

    def carry_out(type_: str, body: str) -> None:
        for said in store.handle(read(type_, body.encode()), body.encode()):
            app.send_task(said.type, [said.body.decode()], exchange=said.exchange, routing_key=said.type)
            store.confirmed(said.id)

    for type_ in hears(service):
        app.task(_bound(carry_out, type_), name=type_)
    return app


def _bound(carry_out: Any, type_: str) -> Any:
    def task(body: str) -> None:
        carry_out(type_, body)

    return task


def main() -> None:
    service, url, database, catalogue = sys.argv[1:]
    app = application(service, url, Store(service, Path(database), Path(catalogue)))
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=warning"]
    app.worker_main(["worker", f"--hostname={service}@%h", "--pool=threads", f"--concurrency={THREADS}", *quiet])


if __name__ == "__main__":
    main()
