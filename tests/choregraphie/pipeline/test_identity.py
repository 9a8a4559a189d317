"""Source and id together identify an event; an id alone blocks no other source (CloudEvents 1.0, `id`)."""

from typing import Any

import pytest
from sqlalchemy import select

from choregraphie import Settings
from choregraphie.errors import Reason
from choregraphie.pipeline.poison import SUSPICIOUS_RETURNS
from choregraphie.saga.envelope import Envelope, Event, wrap
from choregraphie.service.verdict import DeadLetter, Done
from choregraphie.storage.inbox import INBOX
from choregraphie.storage.invocation import Invocation
from choregraphie.storage.journal import JOURNAL
from choregraphie.testing import ServiceHarness
from tests.support.event_builders import annulee, initiee
from tests.support.fake_session import until
from tests.support.running_pipeline import NOON, running_pipeline

SOURCES = (
    ("/clients/alpha", "/clients/beta"),
    ("/clients/alpha", "/clients/Alpha"),
    ("/clients/alpha", "/clients/alpha/"),
    ("/clients/" + "a" * 190, "/clients/" + "a" * 189 + "b"),
)


def envelope_of(harness: ServiceHarness, source: str, event: Event, id: str = "1") -> Envelope[Any]:
    return wrap(event, id=id, source=source, time=harness.now)


def an_order(commande_id: str, client_id: str = "ANNE", quantite: int = 1) -> Event:
    return initiee(commande_id, client_id=client_id, produit_id="A", quantite=quantite)


def journal(harness: ServiceHarness) -> list[Any]:
    with harness.database.begin() as connection:
        return list(connection.execute(select(JOURNAL).order_by(JOURNAL.c.key)))


@pytest.mark.parametrize("sources", SOURCES)
@pytest.mark.parametrize("together", [True, False])
def test_two_sources_may_use_the_same_id(
    harness: ServiceHarness, sources: tuple[str, str], together: bool
) -> None:
    first, second = (
        envelope_of(harness, sources[0], an_order("C-1")),
        envelope_of(harness, sources[1], an_order("C-2")),
    )
    if together:
        harness.hear(first, second)
    else:
        harness.hear(first)
        harness.hear(second)
    assert harness.verdicts == [Done(), Done()]
    assert harness.inspect()["A"] == 2
    ids = {envelope.id for envelope in harness.envelopes}
    reservations = {envelope.data.model_dump()["reservation_id"] for envelope in harness.envelopes}
    assert (len(ids), len(reservations)) == (2, 2)
    assert {envelope.causationid for envelope in harness.envelopes} == {"1"}


def test_the_same_source_and_id_with_another_body_is_set_aside(harness: ServiceHarness) -> None:
    harness.hear(envelope_of(harness, "/clients/alpha", an_order("C-1")))
    harness.hear(
        envelope_of(harness, "/clients/alpha", an_order("C-1", quantite=2)),
        envelope_of(harness, "/clients/beta", an_order("C-2")),
    )
    (collision,) = [verdict for verdict in harness.verdicts if isinstance(verdict, DeadLetter)]
    assert collision.reason is Reason.ID_COLLISION
    assert harness.inspect()["A"] == 2


def test_each_is_recognised_when_it_is_delivered_again(harness: ServiceHarness) -> None:
    orders = [envelope_of(harness, f"/clients/{name}", an_order(f"C-{name}")) for name in ("alpha", "beta")]
    harness.hear(*orders)
    assert harness.hear(*orders) == []
    assert harness.inspect()["A"] == 2
    with harness.database.begin() as connection:
        names = connection.execute(select(INBOX.c.source, INBOX.c.event_id).order_by(INBOX.c.source)).all()
    assert [tuple(name) for name in names] == [("/clients/alpha", "1"), ("/clients/beta", "1")]


def test_a_client_may_use_the_id_of_what_a_service_envelope_of(harness: ServiceHarness) -> None:
    cancellation = harness.enveloped(annulee("C-1"), id="1")
    harness.hear(
        envelope_of(harness, "/clients/alpha", an_order("C-1")),
        cancellation,
        envelope_of(harness, "/clients/beta", an_order("C-2")),
    )
    assert harness.verdicts == [Done()] * 3
    assert harness.said == ["stock.reserve", "stock.libere", "stock.reserve"]
    assert [(row.key, row.action, row.cause_source) for row in journal(harness)] == [
        ("C-1", "compter", "/clients/alpha"),
        ("C-1", "decompter", "/services/commande"),
        ("C-2", "compter", "/clients/beta"),
    ]


def test_an_order_that_was_given_up_does_not_affect_another_event_with_its_id(harness: ServiceHarness) -> None:
    """Redelivered, the event that was given up is set aside again; another with the same id and order is not."""
    broken = harness.delivery(envelope_of(harness, "/clients/alpha", an_order("C-1", "SANS-ESPOIR")))
    other = harness.delivery(envelope_of(harness, "/clients/beta", an_order("C-1")))
    harness.deliver(broken, other, tolerate=True)
    del harness.verdicts[:]
    harness.deliver(broken._replace(redelivered=True), other._replace(redelivered=True))
    again, nothing = harness.verdicts
    assert isinstance(again, DeadLetter)
    assert nothing == Done()


def test_a_tombstone_is_not_mistaken_for_giving_up(harness: ServiceHarness) -> None:
    cancellation = harness.enveloped(annulee("C-1"), id="1")
    late = harness.delivery(envelope_of(harness, "/clients/alpha", an_order("C-1"), id="1"))
    harness.hear(cancellation)
    harness.deliver(late)
    harness.deliver(late._replace(redelivered=True))
    assert harness.verdicts == [Done()] * 3


def test_a_trial_concerns_one_event(harness: ServiceHarness) -> None:
    killer, innocent = (
        harness.decoder.decode(harness.delivery(envelope_of(harness, f"/clients/{name}", an_order(f"C-{name}"))))
        for name in ("alpha", "beta")
    )
    assert isinstance(killer, Invocation)
    assert isinstance(innocent, Invocation)
    assert harness.store.choose_suspect([killer], untried=True) is killer
    assert harness.store.choose_suspect([killer, innocent], untried=True) is innocent


async def test_only_copies_of_one_event_are_tried_together(settings: Settings) -> None:
    back: dict[str, Any] = {"headers": {"x-delivery-count": SUSPICIOUS_RETURNS}, "redelivered": True}
    async with running_pipeline(settings) as run:
        orders: list[Any] = [
            wrap(
                initiee(f"C-{name}", client_id="ANNE", produit_id="A"),
                id="1",
                source=f"/clients/{name}",
                time=NOON,
            )
            for name in ("alpha", "beta")
        ]
        first, other, copy = (run.session.deliver(order, **back) for order in (*orders, orders[0]))
        await until(lambda: len(run.session.acked) == 3)
        assert run.session.acked == [first, copy, other]
        await run.stop()


def test_an_event_without_a_source_is_refused(harness: ServiceHarness) -> None:
    body = (
        envelope_of(harness, "/clients/alpha", an_order("C-1"))
        .to_bytes()
        .replace(b'"source":"/clients/alpha",', b"")
    )
    harness.deliver(harness.delivery(an_order("C-2"))._replace(body=body))
    (refused,) = harness.verdicts
    assert isinstance(refused, DeadLetter)
    assert (refused.reason, refused.detail) == (Reason.INVALID, "source is missing")
