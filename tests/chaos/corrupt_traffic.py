"""Spoilt histories for the invariants of messages, the monitor and the processes."""

from __future__ import annotations

import signal
from dataclasses import replace

from scripts.nemesis.history import DeadLetter, MonitorConnection, MonitorState, StreamEntry
from tests.chaos.corrupt import Case, corrupted, gone, letter, order, queue, worker
from tests.chaos.sample_history import FORGED, body, databases, history, told, with_outbox, without_receipt

CREATION = ("A", "commande.creee", "A:commande.creee")
deaf = replace(told(), events=told().events - {CREATION})
wrong = replace(told(), states={**told().states, "A": "RUNNING"})
undone = DeadLetter("stock", body("B", "commande.annulee"), "exhausted")
innocent = DeadLetter("stock", body("A", "commande.initiee"), "exhausted")
in_the_stream = StreamEntry("stock.dlx", "commande.initiee", innocent.body, "exhausted")

CASES: dict[str, Case] = {
    "an event was decided and never said": corrupted(
        "I6",
        "was never published",
        kept=with_outbox(
            databases(), "stock", [replace(row, said=False) for row in databases().of("stock").outbox]
        ),
    ),
    "an event said is not heard": corrupted(
        "I6",
        "paiement never received stock.reserve",
        kept=without_receipt(databases(), "paiement", "A:stock.reserve"),
    ),
    "an event never reached the history": corrupted(
        "I6", "the history lacks", past=replace(history(), stream=history().stream[1:-1])
    ),
    "an event is heard that nobody said": corrupted(
        "I6",
        "unexpected event",
        past=replace(history(), stream=(*history().stream, StreamEntry("stock.events", "stock.reserve", b"{}"))),
    ),
    "a dead letter has changed on the way": corrupted("I8", "other bytes", past=letter(body=FORGED + b" ")),
    "a dead letter has no reason": corrupted("I8", "has no reason", past=letter(reason=None)),
    "a dead letter has the wrong reason": corrupted(
        "I8",
        "should be invalid",
        past=letter(reason="too_large"),
    ),
    "rubbish is not set aside": corrupted("I8", "did not dead-letter", past=replace(history(), dead_letters=())),
    "a genuine event is set aside as rubbish": corrupted(
        "I8",
        "is genuine",
        past=replace(
            history(),
            dead_letters=(
                *history().dead_letters,
                DeadLetter("stock", body("A", "commande.initiee"), "unreadable"),
            ),
        ),
    ),
    "a message is hidden in a queue": corrupted("I8", "hides messages", past=queue(messages=1)),
    "a live monitor has missed an event": corrupted("I9", "rebuilt only", past=replace(history(), live=deaf)),
    "a new monitor hears less of a whole stream": corrupted(
        "I9",
        "live only",
        past=replace(history(), rebuilt=deaf),
    ),
    "a stream that lost something has gained something too": corrupted(
        "I9", "rebuilt only", past=replace(history(), live=deaf, complete=False)
    ),
    "both monitors say what is not so": corrupted("I9", "says COMPLETED", kept=order("A", "annulee")),
    "a consumer is a zombie": corrupted("I10", "consumers: 2", past=queue(consumers=2)),
    "a worker leaks descriptors": corrupted("I10", "900 descriptors", past=worker(descriptors=900)),
    "a worker leaks memory": corrupted("I10", "900 MB", past=worker(megabytes=900.0)),
    "a worker had to be killed in the end": corrupted("I10", "ended badly", past=worker(exit_code=-9)),
    "a worker takes its time to leave": corrupted("I10", "after 31 s", past=worker(exit_seconds=31.0)),
    "a process ends with a traceback": corrupted(
        "I10", "crashed: stock", past=replace(history(), crashes=("stock-1.log",))
    ),
    "a password stands in a log": corrupted(
        "I10", "a secret is", past=replace(history(), secrets_in_logs=("stock.log",))
    ),
    "the stream cannot be read": corrupted(
        "I6", "could not tell: the history", past=replace(history(), stream=(), complete=False)
    ),
    "a good message is set aside because its tries are exhausted": corrupted(
        "I8", "is genuine but was dead-lettered as exhausted", past=letter(**vars(innocent))
    ),
    "a good message is set aside by the broker": corrupted(
        "I8",
        "is genuine but was dead-lettered as delivery_limit",
        past=letter(body=innocent.body, reason=None, broker="delivery_limit"),
    ),
    "a good message was set aside and sent back in time": corrupted(
        "I8", "is genuine but was dead-lettered as exhausted", past=replace(history(), redriven=(innocent,))
    ),
    "a good message was set aside, which only the stream remembers": corrupted(
        "I8",
        "is genuine but was dead-lettered as exhausted",
        past=replace(history(), stream=(*history().stream, in_the_stream)),
    ),
    "a queue does not report its messages what it holds": corrupted(
        "I8", "stock.inbox does not report its messages", past=queue(ready=None)
    ),
    "a queue is not there": corrupted(
        "I8", "no queue notification.dlq", past=replace(history(), queues=history().queues[:-1])
    ),
    "a monitor built anew knows nothing": corrupted(
        "I9", "knows nothing", past=replace(history(), rebuilt=MonitorState(), complete=False)
    ),
    "both monitors are wrong about an order of which the stream has everything": corrupted(
        "I9",
        "A: creee, and the monitor (live) says RUNNING",
        past=replace(history(), live=wrong, rebuilt=wrong, complete=False),
    ),
    "an order needs a person and the monitor does not flag it": corrupted(
        "I9",
        "B: still en_attente, and the monitor (live) does not flag it",
        past=replace(history(), dead_letters=(*history().dead_letters, undone)),
        kept=order("B", "en_attente"),
    ),
    "the monitor publishes": corrupted(
        "I9",
        "published 3 messages",
        past=replace(history(), monitor_connections=(MonitorConnection(3, ("saga.history",)),)),
    ),
    "the monitor takes from an inbox": corrupted(
        "I9",
        "consumes stock.inbox",
        past=replace(history(), monitor_connections=(MonitorConnection(0, ("saga.history", "stock.inbox")),)),
    ),
    "the broker knows of no monitor": corrupted(
        "I9", "could not tell: no connection", past=replace(history(), monitor_connections=())
    ),
    "a service has no worker left": corrupted(
        "I10", "notification has 0 workers", past=replace(history(), workers=history().workers[:-1])
    ),
    "nobody can see what a worker holds": corrupted(
        "I10",
        "could not tell: what",
        past=worker(descriptors=None),
    ),
    "a worker ends with an error": corrupted("I10", "by itself: exit code 1", past=gone(1)),
    "a worker ends with an error though it was asked once": corrupted(
        "I10",
        "exit code 1",
        past=gone(1, sigterms=1),
    ),
    "a worker stops without being asked": corrupted("I10", "by itself: exit code 0", past=gone(0)),
    "a worker is killed by somebody else": corrupted("I10", "exit code -9", past=gone(-signal.SIGKILL)),
    "a worker that worked does not heed SIGTERM": corrupted(
        "I10", "exit code -15", past=gone(-signal.SIGTERM, sigterms=1, age=60.0)
    ),
    "a worker takes its time to leave under load": corrupted(
        "I10", "took 31 s to end", past=gone(0, sigterms=1, seconds=31.0)
    ),
}
