"""A group is one transaction: all of it takes effect once, or nothing does."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from choregraphie.errors import DatabaseUnavailable, Reason
from choregraphie.messaging import ContentHeader, Delivery
from choregraphie.pipeline.executor import begin_calls, execute
from choregraphie.saga.envelope import Event
from choregraphie.service.verdict import DeadLetter, Done, RetryAfter
from choregraphie.storage.inbox import INBOX
from choregraphie.storage.invocation import Invocation
from choregraphie.storage.journal import JOURNAL
from choregraphie.storage.outbox import OUTBOX
from choregraphie.testing import ServiceHarness
from choregraphie.testing.harness import Raised
from tests.support.event_builders import annulee, initiee
from tests.support.statements import watching


def on_a(commande_id: str, client_id: str = "ANNE", quantite: int = 1) -> Event:
    return initiee(commande_id, client_id=client_id, produit_id="A", quantite=quantite)


def returned(harness: ServiceHarness, heard: Any, tried: int) -> Delivery:
    """The delivery as it returns from a retry queue."""
    headers = {"x-saga-attempt": tried, "x-saga-exchange": "client.events"}
    return harness.delivery(heard)._replace(exchange="stock.requeue", header=ContentHeader(headers))


def invocations(harness: ServiceHarness, *heard: Any) -> list[Invocation]:
    read = [harness.decoder.decode(harness.delivery(fact)) for fact in heard]
    return [invocation for invocation in read if isinstance(invocation, Invocation)]


def rows(harness: ServiceHarness, table: Any) -> list[Any]:
    with harness.database.begin() as connection:
        return list(connection.execute(select(table)))


@contextlib.contextmanager
def statements(harness: ServiceHarness) -> Iterator[list[str]]:
    """The statements sent to the database meanwhile."""
    sent: list[str] = []
    with watching(harness.database, sent.append):
        yield sent


def test_a_group_costs_a_handful_of_statements_whatever_its_size(harness: ServiceHarness) -> None:
    counts = []
    for size in (2, 100):
        with statements(harness) as sent:
            harness.hear(*(on_a(f"C-{size}-{n}") for n in range(size)))
        counts.append([statement.split()[0] for statement in sent])
    assert counts[0] == counts[1]
    assert len(counts[0]) <= 12


def test_a_hot_row_is_read_once_and_written_once(harness: ServiceHarness) -> None:
    with statements(harness) as sent:
        harness.hear(*(on_a(f"C-{n}", quantite=2) for n in range(50)))
    assert [statement.split()[0] for statement in sent if "compteurs" in statement] == ["SELECT", "UPDATE"]
    assert harness.inspect()["A"] == 100


def test_duplicates_in_one_group_count_once(harness: ServiceHarness) -> None:
    order = harness.enveloped(on_a("C"))
    harness.hear(order, order, order)
    assert harness.verdicts == [Done()] * 3
    assert (harness.inspect()["A"], harness.said) == (1, ["stock.reserve"])


def test_the_same_id_with_another_body_is_dead_lettered_and_the_first_counts(harness: ServiceHarness) -> None:
    first, other = harness.enveloped(on_a("C"), id="same"), harness.enveloped(on_a("D"), id="same")
    harness.hear(first)
    harness.hear(other)
    done, refused = harness.verdicts
    assert isinstance(done, Done)
    assert isinstance(refused, DeadLetter)
    assert refused.reason is Reason.ID_COLLISION
    assert harness.inspect()["A"] == 1


def test_the_same_id_with_another_body_in_one_group_is_dead_lettered_too(harness: ServiceHarness) -> None:
    harness.hear(harness.enveloped(on_a("C"), id="same"), harness.enveloped(on_a("D"), id="same"))
    assert [type(verdict) for verdict in harness.verdicts] == [Done, DeadLetter]
    assert harness.inspect()["A"] == 1


def test_a_reaction_that_raises_does_not_delay_the_others(harness: ServiceHarness) -> None:
    harness.hear(on_a("C-1"), on_a("C-2", "PANNE"), on_a("C-3"), tolerate=True)
    assert [type(verdict) for verdict in harness.verdicts] == [Done, RetryAfter, Done]
    assert (harness.inspect()["A"], harness.said) == (2, ["stock.reserve"] * 2)
    assert {row.key for row in rows(harness, INBOX)} == {"C-1", "C-3"}


def test_a_reaction_that_raises_leaves_no_trace(harness: ServiceHarness) -> None:
    harness.hear(on_a("C", "PANNE"), tolerate=True)
    assert harness.inspect()["A"] == 0
    assert rows(harness, INBOX) == rows(harness, JOURNAL) == rows(harness, OUTBOX) == []


def test_the_harness_raises_when_a_reaction_raises(harness: ServiceHarness) -> None:
    with pytest.raises(Raised, match="Failure: broken"):
        harness.hear(on_a("C", "PANNE"))


def test_a_row_that_reads_does_not_name_is_an_error_and_not_none(harness: ServiceHarness) -> None:
    harness.hear(on_a("C", "AILLEURS"), tolerate=True)
    (verdict,) = harness.verdicts
    assert isinstance(verdict, RetryAfter)
    assert "RowNotDeclared" in verdict.detail


def test_after_all_retry_delays_a_delivery_is_given_up(harness: ServiceHarness) -> None:
    order = harness.enveloped(on_a("C", "PANNE"))
    harness.hear(order, tolerate=True)
    for tried in (1, 2):
        harness.deliver(returned(harness, order, tried), tolerate=True)
    seconds = [v.seconds if isinstance(v, RetryAfter) else v for v in harness.verdicts]
    assert seconds[:2] == [1, 5]
    (last,) = seconds[2:]
    assert isinstance(last, DeadLetter)
    assert (last.reason, last.attempt) == (Reason.EXHAUSTED, 3)


def test_giving_up_publishes_the_refusal_and_leaves_a_tombstone(harness: ServiceHarness) -> None:
    order = harness.enveloped(on_a("C", "PANNE"), id="the-order")
    harness.deliver(returned(harness, order, 2), tolerate=True)
    (said,) = harness.envelopes
    assert (said.type, said.causationid) == ("stock.reservation_echouee", "the-order")
    assert said.data.model_dump()["raison"] == "abandon après 3 essais"
    assert [(row.action, row.state) for row in rows(harness, JOURNAL)] == [("compter", "tombstone")]
    assert [row.event_id for row in rows(harness, INBOX)] == ["the-order"]
    assert harness.inspect()["A"] == 0


def test_after_giving_up_neither_a_redrive_nor_another_order_of_that_id_has_an_effect(
    harness: ServiceHarness,
) -> None:
    broken = harness.enveloped(on_a("C", "PANNE"))
    harness.deliver(returned(harness, broken, 2), tolerate=True)
    assert harness.deliver(returned(harness, broken, 3)) == []
    assert harness.hear(on_a("C")) == []
    assert harness.inspect()["A"] == 0


def test_an_error_that_no_retry_can_resolve_is_given_up_at_once(harness: ServiceHarness) -> None:
    harness.hear(on_a("C", "SANS-ESPOIR"), tolerate=True)
    assert isinstance(harness.verdicts[0], DeadLetter)
    assert harness.said == ["stock.reservation_echouee"]


def test_an_undoing_that_is_given_up_publishes_nothing_and_can_be_redriven(harness: ServiceHarness) -> None:
    harness.hear(on_a("C"))
    cancel = harness.enveloped(annulee("C", raison="panne"))
    assert harness.deliver(returned(harness, cancel, 2), tolerate=True) == []
    assert isinstance(harness.verdicts[-1], DeadLetter)
    assert [(row.action, row.state) for row in rows(harness, JOURNAL)] == [("compter", "done")]
    assert [type(said).__name__ for said in harness.hear(annulee("C"))] == ["StockLibere"]
    assert harness.inspect()["A"] == 0


def test_an_undoing_that_does_not_answer_is_an_error(harness: ServiceHarness) -> None:
    """Others wait for its answer; without it, nobody can tell that the order is undone."""
    with pytest.raises(Raised, match="did not answer"):
        harness.hear(annulee("C", raison="silence"))


def test_an_order_cancelled_before_its_last_try_is_not_given_up(harness: ServiceHarness) -> None:
    """Nothing is left to refuse, and no person is needed."""
    broken = harness.enveloped(on_a("C", "PANNE"))
    harness.hear(broken, tolerate=True)
    harness.hear(annulee("C"))
    assert harness.deliver(returned(harness, broken, 2)) == []
    assert harness.verdicts[-1] == Done()
    assert harness.said == ["stock.libere"]


def test_a_cancellation_in_the_group_of_its_order_undoes_it(harness: ServiceHarness) -> None:
    harness.hear(on_a("C", quantite=3), annulee("C"))
    assert (harness.inspect()["A"], harness.said) == (0, ["stock.reserve", "stock.libere"])


def test_an_event_has_the_same_id_when_its_transaction_is_repeated(harness: ServiceHarness) -> None:
    """A lost transaction is repeated, perhaps by another worker: its events must be the same."""
    group = invocations(harness, harness.enveloped(on_a("C"), id="cause"))
    first = harness.store.commit(group)[0].outbox_events
    _forget(harness)
    assert [s.event_id for s in harness.store.commit(group)[0].outbox_events] == [s.event_id for s in first]


def _forget(harness: ServiceHarness) -> None:
    """Delete everything, as if it had been rolled back."""
    with harness.database.begin() as connection:
        for table in (INBOX, JOURNAL, OUTBOX):
            connection.execute(table.delete())
        connection.exec_driver_sql("DELETE FROM traces")


def test_events_are_pending_until_they_are_marked_as_published(harness: ServiceHarness) -> None:
    harness.hear(on_a("C-1"), on_a("C-2"))
    outbox_events, last = harness.store.pending(10)
    assert [(s.type, s.key) for s in outbox_events] == [("stock.reserve", "C-1"), ("stock.reserve", "C-2")]
    assert harness.store.pending(10, last) == ([], last)
    harness.store.mark_published([outbox_events[0].event_id])
    assert [s.event_id for s in harness.store.pending(10)[0]] == [outbox_events[1].event_id]
    assert len(rows(harness, OUTBOX)) == 2


def test_events_are_marked_in_the_transaction_of_the_next_group(harness: ServiceHarness) -> None:
    harness.hear(on_a("C-1"))
    ((outbox_event,), _) = harness.store.pending(10)
    execute(harness.store, invocations(harness, on_a("C-2", "PANNE"), on_a("C-3")), (1,), [outbox_event.event_id])
    assert [s.key for s in harness.store.pending(10)[0]] == ["C-3"]


def test_an_event_is_published_as_it_was_decided_byte_for_byte(harness: ServiceHarness) -> None:
    harness.hear(on_a("C"))
    ((outbox_event,), _) = harness.store.pending(10)
    out = outbox_event.outgoing(harness.service)
    assert out.body == outbox_event.body == harness.envelopes[0].to_bytes()
    assert (out.exchange, out.routing_key) == ("stock.events", "stock.reserve")
    assert (out.properties.message_id, out.properties.correlation_id) == (outbox_event.event_id, "C")


def test_a_database_that_does_not_answer_fails_no_delivery(harness: ServiceHarness) -> None:
    group = invocations(harness, on_a("C"))

    driver: Any = harness.database.engine.dialect.dbapi

    def locked(_: str) -> None:
        raise driver.OperationalError("database is locked")

    with watching(harness.database, locked), pytest.raises(DatabaseUnavailable):
        execute(harness.store, group, (1,), [])
    assert isinstance(execute(harness.store, group, (1,), [])[0].verdict, Done)
    assert begin_calls(harness.store, []) == []
