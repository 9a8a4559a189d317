"""Spoilt histories for the invariants of messages, the monitor and the processes."""

from __future__ import annotations

import signal
from dataclasses import replace

from scripts.nemesis.history import Letter, Link, Spoken, Told
from tests.chaos.corrupt import Case, gone, letter, order, queue, spoilt, worker
from tests.chaos.sample_history import FORGED, body, books, history, told, with_outbox, without_receipt

CREATION = ("A", "commande.creee", "A:commande.creee")
deaf = replace(told(), events=told().events - {CREATION})
wrong = replace(told(), states={**told().states, "A": "RUNNING"})
undone = Letter("stock", body("B", "commande.annulee"), "exhausted")
innocent = Letter("stock", body("A", "commande.initiee"), "exhausted")
in_the_stream = Spoken("stock.dlx", "commande.initiee", innocent.body, "exhausted")

CASES: dict[str, Case] = {
    "an event was decided and never said": spoilt(
        "I6",
        "was never said",
        kept=with_outbox(books(), "stock", [replace(row, said=False) for row in books().of("stock").outbox]),
    ),
    "an event said is not heard": spoilt(
        "I6", "paiement never heard stock.reserve", kept=without_receipt(books(), "paiement", "A:stock.reserve")
    ),
    "an event never reached the history": spoilt(
        "I6", "the history never heard", past=replace(history(), spoken=history().spoken[1:-1])
    ),
    "an event is heard that nobody said": spoilt(
        "I6",
        "nobody wanted to say",
        past=replace(history(), spoken=(*history().spoken, Spoken("stock.events", "stock.reserve", b"{}"))),
    ),
    "a dead letter has changed on the way": spoilt("I8", "other bytes", past=letter(body=FORGED + b" ")),
    "a dead letter has no reason": spoilt("I8", "has no reason", past=letter(reason=None)),
    "a dead letter has the wrong reason": spoilt(
        "I8",
        "ought to be invalid",
        past=letter(reason="too_large"),
    ),
    "rubbish is not set aside": spoilt("I8", "did not set aside", past=replace(history(), letters=())),
    "a genuine event is set aside as rubbish": spoilt(
        "I8",
        "is genuine",
        past=replace(
            history(),
            letters=(*history().letters, Letter("stock", body("A", "commande.initiee"), "unreadable")),
        ),
    ),
    "a message is hidden in a queue": spoilt("I8", "hides messages", past=queue(messages=1)),
    "a live monitor has missed an event": spoilt("I9", "anew alone", past=replace(history(), live=deaf)),
    "a new monitor hears less of a whole stream": spoilt(
        "I9",
        "live alone",
        past=replace(history(), anew=deaf),
    ),
    "a stream that lost something has gained something too": spoilt(
        "I9", "anew alone", past=replace(history(), live=deaf, complete=False)
    ),
    "both monitors say what is not so": spoilt("I9", "says COMPLETED", kept=order("A", "annulee")),
    "a consumer is a zombie": spoilt("I10", "consumers: 2", past=queue(consumers=2)),
    "a worker leaks descriptors": spoilt("I10", "900 descriptors", past=worker(descriptors=900)),
    "a worker leaks memory": spoilt("I10", "900 MB", past=worker(megabytes=900.0)),
    "a worker had to be killed in the end": spoilt("I10", "left badly", past=worker(exit_code=-9)),
    "a worker takes its time to leave": spoilt("I10", "after 31 s", past=worker(seconds_to_leave=31.0)),
    "a process ends with a traceback": spoilt(
        "I10", "crashed: stock", past=replace(history(), crashes=("stock-1.log",))
    ),
    "a password stands in a log": spoilt(
        "I10", "a secret stands", past=replace(history(), secrets_in_logs=("stock.log",))
    ),
    "the stream cannot be read": spoilt(
        "I6", "could not tell: the history", past=replace(history(), spoken=(), complete=False)
    ),
    "a good message is set aside because its tries are exhausted": spoilt(
        "I8", "is genuine, and was set aside as exhausted", past=letter(**vars(innocent))
    ),
    "a good message is set aside by the broker": spoilt(
        "I8",
        "is genuine, and was set aside as delivery_limit",
        past=letter(body=innocent.body, reason=None, broker="delivery_limit"),
    ),
    "a good message was set aside and sent back in time": spoilt(
        "I8", "is genuine, and was set aside as exhausted", past=replace(history(), sent_back=(innocent,))
    ),
    "a good message was set aside, which only the stream remembers": spoilt(
        "I8",
        "is genuine, and was set aside as exhausted",
        past=replace(history(), spoken=(*history().spoken, in_the_stream)),
    ),
    "a queue does not say what it holds": spoilt("I8", "stock.inbox does not say", past=queue(ready=None)),
    "a queue is not there": spoilt(
        "I8", "no queue notification.dlq", past=replace(history(), queues=history().queues[:-1])
    ),
    "a monitor built anew knows nothing": spoilt(
        "I9", "knows nothing", past=replace(history(), anew=Told(), complete=False)
    ),
    "both monitors are wrong about an order of which the stream has everything": spoilt(
        "I9",
        "A: creee, and the monitor (live) says RUNNING",
        past=replace(history(), live=wrong, anew=wrong, complete=False),
    ),
    "an order needs a person and the monitor calls for nobody": spoilt(
        "I9",
        "B: still en_attente, and the monitor (live) calls for nobody",
        past=replace(history(), letters=(*history().letters, undone)),
        kept=order("B", "en_attente"),
    ),
    "the monitor publishes": spoilt(
        "I9", "published 3 messages", past=replace(history(), links=(Link(3, ("saga.history",)),))
    ),
    "the monitor takes from an inbox": spoilt(
        "I9", "takes from stock.inbox", past=replace(history(), links=(Link(0, ("saga.history", "stock.inbox")),))
    ),
    "the broker knows of no monitor": spoilt(
        "I9", "could not tell: the broker", past=replace(history(), links=())
    ),
    "a service has no worker left": spoilt(
        "I10", "of notification there are 0 workers", past=replace(history(), workers=history().workers[:-1])
    ),
    "nobody can see what a worker holds": spoilt(
        "I10",
        "could not tell: what",
        past=worker(descriptors=None),
    ),
    "a worker ends with an error": spoilt("I10", "by itself: exit code 1", past=gone(1)),
    "a worker ends with an error though it was asked once": spoilt(
        "I10",
        "exit code 1",
        past=gone(1, asked=1),
    ),
    "a worker stops without being asked": spoilt("I10", "by itself: exit code 0", past=gone(0)),
    "a worker is killed by somebody else": spoilt("I10", "exit code -9", past=gone(-signal.SIGKILL)),
    "a worker that worked does not heed SIGTERM": spoilt(
        "I10", "exit code -15", past=gone(-signal.SIGTERM, asked=1, age=60.0)
    ),
    "a worker takes its time to leave under load": spoilt(
        "I10", "took 31 s to leave", past=gone(0, asked=1, seconds=31.0)
    ),
}
