"""A reaction that waits for several events is carried out once, when all of them were heard."""

import itertools
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from choregraphie import Settings
from choregraphie.pipeline.executor import begin_calls, execute
from choregraphie.saga.envelope import Envelope, Event
from choregraphie.service.verdict import DeadLetter, Done, RetryAfter
from choregraphie.storage.invocation import Invocation
from choregraphie.storage.journal import journal_of
from choregraphie.testing import ServiceHarness, open_harness
from scripts.nemesis.private_postgres import PrivatePostgres
from tests.support.joining_service import (
    BOOKED,
    REGLEMENT,
    REGLEMENT_AUTORISE,
    ReglementEffectue,
    ReglementRefuse,
    ReglementRembourse,
    VolReserve,
    VoyageAnnule,
)

VOYAGE = "V-1"


def booked(voyage_id: str = VOYAGE, **prices: int) -> list[Event]:
    return [cls(voyage_id=voyage_id, prix=prices.get(cls.SAID_BY, 100)) for cls in BOOKED]


def kept(harness: ServiceHarness) -> int:
    with harness.database.begin() as connection:
        return int(connection.execute(text("SELECT count(*) FROM joins")).scalar_one())


@pytest.fixture
def harness(database_for: Callable[[str], str]) -> Iterator[ServiceHarness]:
    settings = Settings(database_url=database_for(REGLEMENT.name), retry_delays=(1, 5))
    with open_harness(REGLEMENT, settings) as ready:
        yield ready


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_it_is_carried_out_when_the_last_event_has_come(harness: ServiceHarness, order: tuple[int, ...]) -> None:
    events = booked(vol=1, hotel=20, voiture=300)
    *first, last = (events[number] for number in order)
    for event in first:
        assert harness.hear(event) == []
    assert harness.hear(last) == [ReglementEffectue(voyage_id=VOYAGE, total=321)]
    assert (kept(harness), harness.verdicts) == (0, [Done()] * 3)


def test_events_of_one_group_complete_it_too(harness: ServiceHarness) -> None:
    assert harness.hear(*booked(), *booked("V-2", vol=1)) == [
        ReglementEffectue(voyage_id=VOYAGE, total=300),
        ReglementEffectue(voyage_id="V-2", total=201),
    ]


def test_a_repeated_event_and_a_second_one_of_its_type_complete_nothing(harness: ServiceHarness) -> None:
    vol, hotel, voiture = booked()
    again = harness.enveloped(vol)
    harness.hear(again)
    harness.hear(again, VolReserve(voyage_id=VOYAGE, prix=7))
    assert harness.hear(hotel) == []
    assert harness.hear(voiture) == [ReglementEffectue(voyage_id=VOYAGE, total=300)]
    assert harness.hear(VolReserve(voyage_id=VOYAGE, prix=7), hotel, voiture) == []
    assert harness.inspect()["reglements"] == {"nombre": 1, "total": 300}


def test_events_of_two_instances_are_kept_apart(harness: ServiceHarness) -> None:
    vol, hotel, _ = booked()
    assert harness.hear(vol, hotel, *booked("V-2")[2:]) == []


def test_what_was_kept_outlives_the_worker(database_for: Callable[[str], str]) -> None:
    settings = Settings(database_url=database_for(REGLEMENT.name))
    vol, hotel, voiture = booked()
    with open_harness(REGLEMENT, settings) as harness:
        harness.hear(vol, hotel)
    with open_harness(REGLEMENT, settings) as harness:
        assert harness.hear(harness.enveloped(voiture, id="later")) == [
            ReglementEffectue(voyage_id=VOYAGE, total=300)
        ]


@pytest.mark.parametrize("heard_before", range(4))
def test_an_undoing_at_any_moment_leaves_nothing_done(harness: ServiceHarness, heard_before: int) -> None:
    events = booked()
    harness.hear(*events[:heard_before])
    paid = 300 if heard_before == 3 else 0
    assert harness.hear(VoyageAnnule(voyage_id=VOYAGE)) == [ReglementRembourse(voyage_id=VOYAGE, total=paid)]
    assert harness.hear(*events[heard_before:]) == []


def test_a_refusal_is_said_once(harness: ServiceHarness) -> None:
    assert harness.hear(*booked(vol=0)) == [ReglementRefuse(voyage_id=VOYAGE, raison="un prix manque")]


def test_a_failure_is_retried_with_all_its_events_and_given_up_once(harness: ServiceHarness) -> None:
    vol, hotel, voiture = booked(voiture=13)
    harness.hear(vol, hotel)
    delivery = harness.delivery(voiture)
    harness.deliver(delivery, tolerate=True)
    assert isinstance(harness.verdicts[-1], RetryAfter)
    assert kept(harness) == 2
    invocation = harness.decoder.decode(delivery)
    assert isinstance(invocation, Invocation)
    (result,) = execute(harness.store, [invocation._replace(attempt=3)], (1, 5), [])
    assert isinstance(result.verdict, DeadLetter)
    assert [event.type for event in result.outbox_events] == ["reglement.refuse"]
    assert kept(harness) == 0


def test_the_call_is_made_once_when_the_last_event_has_come(database_for: Callable[[str], str]) -> None:
    asked: list[Any] = []
    settings = Settings(database_url=database_for(REGLEMENT.name))
    with open_harness(REGLEMENT_AUTORISE, settings, asked) as harness:
        vol, hotel, voiture = booked()
        assert harness.hear(vol) == []
        assert asked == []
        with harness.database.begin() as connection:
            assert journal_of(connection, VOYAGE) == [], "no call can be under way yet"
        # Together, so that both are recorded before either is carried out.
        assert harness.hear(hotel, voiture) == [ReglementEffectue(voyage_id=VOYAGE, total=300)]
        assert asked == [("reglement:regler_autorise:V-1", ("vol.reserve", "hotel.reserve", "voiture.reservee"))]


def test_a_worker_killed_during_the_call_makes_it_again_for_the_same_delivery(
    database_for: Callable[[str], str],
) -> None:
    asked: list[Any] = []
    settings = Settings(database_url=database_for(REGLEMENT.name))
    with open_harness(REGLEMENT_AUTORISE, settings, asked) as harness:
        vol, hotel, voiture = (harness.delivery(event) for event in booked())
        read = [harness.decoder.decode(delivery) for delivery in (vol, hotel, voiture)]
        begun = begin_calls(harness.store, [one for one in read if isinstance(one, Invocation)])
        assert [view is not None for _, view in begun] == [False, False, True]
        # Killed here; all three are redelivered, the last one first.
        assert harness.deliver(voiture) == [ReglementEffectue(voyage_id=VOYAGE, total=300)]
        assert harness.deliver(vol, hotel) == []
        assert len(asked) == 1
        assert kept(harness) == 0


@given(st.permutations([*booked(), *booked(), VoyageAnnule(voyage_id=VOYAGE)]), st.lists(st.integers(1, 4)))
def test_in_any_order_and_grouping_it_is_paid_at_most_once_and_refunded_in_full(
    events: list[Event], sizes: list[int]
) -> None:
    with open_harness(REGLEMENT, Settings(database_url="sqlite://")) as harness:
        envelopes: list[Envelope[Any]] = [harness.enveloped(event) for event in events]
        while envelopes:
            size = sizes.pop() if sizes else 1
            harness.hear(*envelopes[:size])
            envelopes = envelopes[size:]
        paid = [said.data.total for said in harness.envelopes if isinstance(said.data, ReglementEffectue)]
        back = [said.data.total for said in harness.envelopes if isinstance(said.data, ReglementRembourse)]
        assert len(paid) <= 1
        assert back == (paid or [0])


def test_two_workers_that_hear_parts_at_once_miss_none(postgres: PrivatePostgres) -> None:
    """Neither sees what the other has not committed, so one of them must wait."""
    name = f"joins_{uuid.uuid4().hex[:12]}"
    postgres.create(name)
    settings = Settings(database_url=postgres.url(name))
    with (
        open_harness(REGLEMENT, settings) as one,
        open_harness(REGLEMENT, settings) as other,
        ThreadPoolExecutor(2) as threads,
    ):
        for number in range(30):
            voyage = f"V-{number}"
            vol, hotel, voiture = (event for event in booked(voyage))
            one.hear(one.enveloped(vol, id=f"vol-{number}"))
            both = [
                threads.submit(one.hear, one.enveloped(hotel, id=f"hotel-{number}")),
                threads.submit(other.hear, other.enveloped(voiture, id=f"voiture-{number}")),
            ]
            said = [event for result in both for event in result.result()]
            assert said == [ReglementEffectue(voyage_id=voyage, total=300)]


def test_a_stored_event_that_the_join_no_longer_awaits_is_ignored(harness: ServiceHarness) -> None:
    """A release may change what a reaction waits for while instances are under way."""
    vol, hotel, voiture = booked()
    harness.hear(vol)
    with harness.database.begin() as connection:
        connection.execute(text("UPDATE joins SET type = 'train.reserve'"))
    assert harness.hear(harness.enveloped(vol, id="again"), hotel, voiture) == [
        ReglementEffectue(voyage_id=VOYAGE, total=300)
    ]


def test_kept_events_are_deleted_after_the_days_of_the_inbox(harness: ServiceHarness) -> None:
    harness.hear(*booked()[:2])
    harness.tick(40 * 86_400)
    assert harness.store.purge() >= 2
    assert kept(harness) == 0
