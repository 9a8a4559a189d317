"""Corrupted histories for the invariants of messages, the monitor and the processes."""

from __future__ import annotations

import signal
from dataclasses import replace

from scripts.nemesis.history import DeadLetter, MonitorConnection, MonitorState, StreamEntry
from tests.chaos.corrupt import Case, corrupted, exited, order, with_dead_letter, with_queue, with_worker
from tests.chaos.sample_history import (
    DATABASES,
    FORGED,
    HISTORY,
    MONITOR_STATE,
    body,
    with_outbox,
    without_receipt,
)

CREATION = ("A", "commande.creee", "A:commande.creee")
missing_creation = replace(MONITOR_STATE, events=MONITOR_STATE.events - {CREATION})
wrong_state = replace(MONITOR_STATE, states={**MONITOR_STATE.states, "A": "RUNNING"})
exhausted_undoing = DeadLetter("stock", body("B", "commande.annulee"), "exhausted")
valid_exhausted = DeadLetter("stock", body("A", "commande.initiee"), "exhausted")
exhausted_in_stream = StreamEntry("stock.dlx", "commande.initiee", valid_exhausted.body, "exhausted")

CASES: dict[str, Case] = {
    "an event was decided and never published": corrupted(
        "I6",
        "was never published",
        databases=with_outbox(
            DATABASES,
            "stock",
            [replace(row, published=False) for row in DATABASES.of("stock").outbox],
        ),
    ),
    "a published event is not received": corrupted(
        "I6",
        "paiement never received stock.reserve",
        databases=without_receipt(DATABASES, "paiement", "A:stock.reserve"),
    ),
    "an event never reached the history": corrupted(
        "I6", "the history lacks", history=replace(HISTORY, stream=HISTORY.stream[1:-1])
    ),
    "the stream has an event that nobody published": corrupted(
        "I6",
        "unexpected event",
        history=replace(HISTORY, stream=(*HISTORY.stream, StreamEntry("stock.events", "stock.reserve", b"{}"))),
    ),
    "the bytes of a dead letter have changed": corrupted(
        "I8", "other bytes", history=with_dead_letter(body=FORGED + b" ")
    ),
    "a dead letter has no reason": corrupted("I8", "has no reason", history=with_dead_letter(reason=None)),
    "a dead letter has the wrong reason": corrupted(
        "I8",
        "should be invalid",
        history=with_dead_letter(reason="too_large"),
    ),
    "an invalid message is not dead-lettered": corrupted(
        "I8", "did not dead-letter", history=replace(HISTORY, dead_letters=())
    ),
    "a genuine event is dead-lettered as unreadable": corrupted(
        "I8",
        "is genuine",
        history=replace(
            HISTORY,
            dead_letters=(
                *HISTORY.dead_letters,
                DeadLetter("stock", body("A", "commande.initiee"), "unreadable"),
            ),
        ),
    ),
    "a message is hidden in a queue": corrupted("I8", "hides messages", history=with_queue(messages=1)),
    "a live monitor has missed an event": corrupted(
        "I9", "rebuilt only", history=replace(HISTORY, live=missing_creation)
    ),
    "a rebuilt monitor lacks an event of a complete stream": corrupted(
        "I9",
        "live only",
        history=replace(HISTORY, rebuilt=missing_creation),
    ),
    "the stream of a killed broker has an event that the live monitor never had": corrupted(
        "I9", "rebuilt only", history=replace(HISTORY, live=missing_creation, complete=False)
    ),
    "both monitors are wrong about an order": corrupted("I9", "says COMPLETED", databases=order("A", "annulee")),
    "a lost session still has its consumer": corrupted("I10", "consumers: 2", history=with_queue(consumers=2)),
    "a worker leaks descriptors": corrupted("I10", "900 descriptors", history=with_worker(descriptors=900)),
    "a worker leaks memory": corrupted("I10", "900 MB", history=with_worker(megabytes=900.0)),
    "a worker had to be killed at the end": corrupted("I10", "ended badly", history=with_worker(exit_code=-9)),
    "a worker takes too long to end": corrupted("I10", "after 31 s", history=with_worker(exit_seconds=31.0)),
    "a process ends with a traceback": corrupted(
        "I10", "crashed: stock", history=replace(HISTORY, crashes=("stock-1.log",))
    ),
    "a password is in a log": corrupted(
        "I10", "a secret is", history=replace(HISTORY, secrets_in_logs=("stock.log",))
    ),
    "the stream cannot be read": corrupted(
        "I6", "could not tell: the history", history=replace(HISTORY, stream=(), complete=False)
    ),
    "a genuine message is dead-lettered because its tries are exhausted": corrupted(
        "I8", "is genuine but was dead-lettered as exhausted", history=with_dead_letter(**vars(valid_exhausted))
    ),
    "a genuine message is dead-lettered by the broker": corrupted(
        "I8",
        "is genuine but was dead-lettered as delivery_limit",
        history=with_dead_letter(body=valid_exhausted.body, reason=None, broker="delivery_limit"),
    ),
    "a genuine message was dead-lettered and sent back": corrupted(
        "I8",
        "is genuine but was dead-lettered as exhausted",
        history=replace(HISTORY, redriven=(valid_exhausted,)),
    ),
    "a genuine message was dead-lettered, which only the stream shows": corrupted(
        "I8",
        "is genuine but was dead-lettered as exhausted",
        history=replace(HISTORY, stream=(*HISTORY.stream, exhausted_in_stream)),
    ),
    "a queue does not report its messages": corrupted(
        "I8", "stock.inbox does not report its messages", history=with_queue(ready=None)
    ),
    "a queue does not exist": corrupted(
        "I8", "no queue notification.dlq", history=replace(HISTORY, queues=HISTORY.queues[:-1])
    ),
    "a rebuilt monitor knows nothing": corrupted(
        "I9", "knows nothing", history=replace(HISTORY, rebuilt=MonitorState(), complete=False)
    ),
    "both monitors are wrong about an order that the stream holds completely": corrupted(
        "I9",
        "A: creee, and the monitor (live) says RUNNING",
        history=replace(HISTORY, live=wrong_state, rebuilt=wrong_state, complete=False),
    ),
    "an order needs a person and the monitor does not flag it": corrupted(
        "I9",
        "B: still en_attente, and the monitor (live) does not flag it",
        history=replace(HISTORY, dead_letters=(*HISTORY.dead_letters, exhausted_undoing)),
        databases=order("B", "en_attente"),
    ),
    "the monitor publishes": corrupted(
        "I9",
        "published 3 messages",
        history=replace(HISTORY, monitor_connections=(MonitorConnection(3, ("saga.history",)),)),
    ),
    "the monitor consumes an inbox": corrupted(
        "I9",
        "consumes stock.inbox",
        history=replace(HISTORY, monitor_connections=(MonitorConnection(0, ("saga.history", "stock.inbox")),)),
    ),
    "the broker has no connection of a monitor": corrupted(
        "I9", "could not tell: no connection", history=replace(HISTORY, monitor_connections=())
    ),
    "a service has no worker left": corrupted(
        "I10", "notification has 0 workers", history=replace(HISTORY, workers=HISTORY.workers[:-1])
    ),
    "the resources of a worker are unknown": corrupted(
        "I10",
        "could not tell: what",
        history=with_worker(descriptors=None),
    ),
    "a worker ends with an error": corrupted("I10", "by itself: exit code 1", history=exited(1)),
    "a worker ends with an error after one SIGTERM": corrupted(
        "I10",
        "exit code 1",
        history=exited(1, sigterms=1),
    ),
    "a worker stops without a signal": corrupted("I10", "by itself: exit code 0", history=exited(0)),
    "a worker is killed by another process": corrupted("I10", "exit code -9", history=exited(-signal.SIGKILL)),
    "a worker that had started does not handle SIGTERM": corrupted(
        "I10", "exit code -15", history=exited(-signal.SIGTERM, sigterms=1, age=60.0)
    ),
    "a worker takes too long to end under load": corrupted(
        "I10", "took 31 s to end", history=exited(0, sigterms=1, seconds=31.0)
    ),
}
