"""The checkers are checked: each finds the one thing spoilt, and nothing where nothing is."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.chaos.books import Books, Commande, Debit, Envoi, Rayon, Reservation
from tests.chaos.history import History, Letter, QueueState, Spoken
from tests.chaos.judgement import CHECKERS, judge
from tests.chaos.specimens import FORGED, body, books, decided, history, told, with_outbox, without_receipt

CASES: dict[str, tuple[str, str, History, Books]] = {}


def spoilt(
    sentence: str, invariant: str, what: str, *, past: History | None = None, kept: Books | None = None
) -> None:
    CASES[sentence] = (invariant, what, past or history(), kept or books())


def shelf(disponible: int, retenu: int, vendu: int) -> Books:
    return replace(books(), rayons={"P": Rayon(10, disponible, retenu, vendu)})


def order(number: str, etat: str) -> Books:
    commandes = {**books().commandes, number: Commande(etat, Decimal("9.99"))}
    return replace(books(), commandes=commandes)


def said_by(service: str, *more: str, without: str = "") -> Books:
    rows = [row for row in books().of(service).outbox if row.event_id != without]
    made = [decided(*event_id.split(":"), event_id=event_id + "'") for event_id in more]
    return with_outbox(books(), service, [*rows, *made])


def letter(**changes: object) -> History:
    found = replace(history().letters[0], **changes)  # type: ignore[arg-type]
    return replace(history(), letters=(found,))


def worker(**changes: object) -> History:
    first, *rest = history().workers
    return replace(history(), workers=(replace(first, **changes), *rest))  # type: ignore[arg-type]


def queue(**changes: object) -> History:
    first, *rest = history().queues
    return replace(history(), queues=(replace(first, **changes), *rest))  # type: ignore[arg-type]


def test_a_sane_history_has_nothing_to_answer_for() -> None:
    assert judge(history(), books()) == []


spoilt("goods vanish from a shelf", "I1", "P: 10 initially", kept=shelf(7, 0, 2))
spoilt("a shelf and its reservations differ", "I1", "differ", kept=shelf(8, 1, 1))
spoilt(
    "more is held than there is",
    "I1",
    "-2 available",
    kept=replace(shelf(-2, 0, 12), reservations=(Reservation("A", "P", 12, "vendue"),)),
)
spoilt(
    "an order pays twice",
    "I2",
    "A: 2 debits",
    kept=replace(books(), debits=(*books().debits, Debit("A", "K", Decimal("9.99"), "pris"))),
)
spoilt(
    "money is taken from an account without a debit",
    "I2",
    "accounts miss",
    kept=replace(books(), debits=books().debits[1:]),
)
spoilt("a cancelled order's money is kept", "I2", "was taken for them", kept=order("A", "annulee"))
spoilt("a refund without a debit", "I2", "never debited", kept=replace(books(), debits=books().debits[:1]))
spoilt("a refund is given twice", "I2", "B: 2 refunds", kept=said_by("paiement", "B:paiement.rembourse"))
spoilt("an order waits for ever", "I3", "A: still en_attente", kept=order("A", "en_attente"))
spoilt(
    "an order that was confirmed to the client is unknown",
    "I3",
    "never heard of it",
    kept=replace(books(), commandes={k: v for k, v in books().commandes.items() if k != "A"}),
)
spoilt(
    "an undoing is not answered",
    "I3",
    "B: cancelled, and stock never answered",
    kept=said_by("stock", without="B:stock.libere"),
)
spoilt(
    "the customer is told nothing",
    "I3",
    "A: the customer was told nothing",
    kept=said_by("notification", without="A:notification.envoyee"),
)
spoilt("an order is created twice", "I4", "A: 2 events", kept=said_by("commande", "A:commande.creee"))
spoilt(
    "an order is cancelled twice, which only the history remembers",
    "I4",
    "B: 2 events",
    past=replace(
        history(),
        spoken=(
            *history().spoken,
            Spoken("commande.events", "commande.annulee", body("B", "commande.annulee", "X")),
        ),
    ),
)
spoilt(
    "a created order's goods are only held",
    "I5",
    "A: created, with retenue",
    kept=replace(shelf(8, 2, 0), reservations=(Reservation("A", "P", 2, "retenue"), books().reservations[1])),
)
spoilt("a created order is not paid", "I5", "not paid", kept=replace(books(), debits=books().debits[1:]))
spoilt(
    "a cancelled order still holds goods",
    "I5",
    "B: annulee, with retenue",
    kept=replace(shelf(5, 3, 2), reservations=(books().reservations[0], Reservation("B", "P", 3, "retenue"))),
)
spoilt(
    "goods are held for an order that nobody knows",
    "I5",
    "Z: inconnue",
    kept=replace(books(), reservations=(*books().reservations, Reservation("Z", "P", 1, "retenue"))),
)
spoilt(
    "an event was decided and never said",
    "I6",
    "was never said",
    kept=with_outbox(books(), "stock", [replace(row, said=False) for row in books().of("stock").outbox]),
)
spoilt(
    "an event said is not heard",
    "I6",
    "paiement never heard stock.reserve",
    kept=without_receipt(books(), "paiement", "A:stock.reserve"),
)
spoilt(
    "an event never reached the history",
    "I6",
    "the history never heard",
    past=replace(history(), spoken=history().spoken[1:-1]),
)
spoilt(
    "an event is heard that nobody said",
    "I6",
    "nobody wanted to say",
    past=replace(history(), spoken=(*history().spoken, Spoken("stock.events", "stock.reserve", b"{}"))),
)
spoilt(
    "a service answers the same event twice",
    "I7",
    "stock said 2 times",
    kept=with_outbox(
        books(),
        "stock",
        [*books().of("stock").outbox, decided("A", "stock.reserve", event_id="other")],
    ),
)
spoilt(
    "an order is held twice",
    "I7",
    "A: 2 reservations",
    kept=replace(books(), reservations=(*books().reservations, Reservation("A", "P", 0, "liberee"))),
)
spoilt(
    "a message leaves twice",
    "I7",
    "A: 2 messages confirmation",
    kept=replace(books(), envois=(*books().envois, Envoi("A", "confirmation"))),
)
spoilt("a dead letter has changed on the way", "I8", "other bytes", past=letter(body=FORGED + b" "))
spoilt("a dead letter has no reason", "I8", "has no reason", past=letter(reason=None))
spoilt("a dead letter has the wrong reason", "I8", "ought to be invalid", past=letter(reason="too_large"))
spoilt("rubbish is not set aside", "I8", "did not set aside", past=replace(history(), letters=()))
spoilt(
    "a genuine event is set aside as rubbish",
    "I8",
    "is genuine",
    past=replace(
        history(),
        letters=(*history().letters, Letter("stock", body("A", "commande.initiee"), "unreadable")),
    ),
)
spoilt("a message is hidden in a queue", "I8", "hides messages", past=queue(messages=1))
CREATION = ("A", "commande.creee", "A:commande.creee")
deaf = replace(told(), events=told().events - {CREATION})
spoilt("a live monitor has missed an event", "I9", "anew alone", past=replace(history(), live=deaf))
spoilt("a new monitor hears less of a whole stream", "I9", "live alone", past=replace(history(), anew=deaf))
spoilt(
    "a stream that lost something has gained something too",
    "I9",
    "anew alone",
    past=replace(history(), live=deaf, complete=False),
)
spoilt("both monitors say what is not so", "I9", "says COMPLETED", kept=order("A", "annulee"))
spoilt("a consumer is a zombie", "I10", "consumers: 2", past=queue(consumers=2))
spoilt("a worker leaks descriptors", "I10", "900 descriptors", past=worker(descriptors=900))
spoilt("a worker leaks memory", "I10", "900 MB", past=worker(megabytes=900.0))
spoilt("a worker had to be killed in the end", "I10", "left badly", past=worker(exit_code=-9))
spoilt("a worker takes its time to leave", "I10", "after 31 s", past=worker(seconds_to_leave=31.0))
spoilt(
    "a process ends with a traceback", "I10", "crashed: stock", past=replace(history(), crashes=("stock-1.log",))
)
spoilt(
    "a password stands in a log", "I10", "a secret stands", past=replace(history(), secrets_in_logs=("stock.log",))
)


@pytest.mark.parametrize("sentence", CASES)
def test_what_is_spoilt_is_found(sentence: str) -> None:
    invariant, what, past, kept = CASES[sentence]
    found = list(CHECKERS[invariant](past, kept))
    assert any(violation.invariant == invariant and what in violation.what for violation in found), found


@pytest.mark.parametrize("invariant", CHECKERS)
def test_a_checker_that_has_nothing_to_look_at_says_so(invariant: str) -> None:
    assert any("could not tell" in violation.what for violation in CHECKERS[invariant](History(), Books()))


def test_every_invariant_has_a_history_that_spoils_it() -> None:
    assert {invariant for invariant, *_ in CASES.values()} == set(CHECKERS)


def test_a_stream_that_lost_its_last_entries_may_say_less_to_a_new_monitor() -> None:
    past = replace(history(), anew=deaf, complete=False)
    assert judge(past, books(), ["I9"]) == []


def test_an_order_whose_message_was_given_up_visibly_needs_a_person() -> None:
    kept = order("A", "en_attente")
    given_up = Letter("paiement", body("A", "stock.reserve"), "exhausted")
    past = replace(history(), letters=(*history().letters, given_up))
    assert [v for v in judge(past, kept) if v.invariant in {"I3", "I5"}] == []
    assert [v for v in judge(history(), kept) if v.invariant in {"I3", "I5"}] != []


def test_a_hidden_copy_of_a_queue_is_no_excuse_for_a_missing_one() -> None:
    only = replace(history(), queues=(QueueState("stock.dlq", 0, 0, 0, 0),))
    assert any("consumers: unknown" in violation.what for violation in judge(only, books(), ["I10"]))
