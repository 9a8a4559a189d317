"""The ids of events and things."""

import datetime as dt
import uuid

import pytest

from choregraphie.saga.ids import derived_id, new_id

NOON = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
LATER = NOON + dt.timedelta(milliseconds=1)


def test_ids_are_uuids_in_the_order_of_their_times() -> None:
    times = (NOON, LATER)
    assert [uuid.UUID(new_id(time)).version for time in times] == [7, 7]
    assert [uuid.UUID(derived_id("stock", time=time)).version for time in times] == [8, 8]
    assert all(uuid.UUID(made).variant == uuid.RFC_4122 for made in (new_id(NOON), derived_id("a", time=NOON)))
    assert new_id(NOON) < new_id(LATER)
    assert derived_id("z", time=NOON) < derived_id("a", time=LATER)
    assert int(uuid.UUID(derived_id("a", time=LATER)).hex[:12], 16) == LATER.timestamp() * 1000


def test_new_ids_differ_and_derived_ids_follow_from_what_is_given() -> None:
    assert new_id(NOON) != new_id(NOON)
    assert derived_id("stock", "A", time=NOON) == derived_id("stock", "A", time=NOON)
    assert len({derived_id(part, time=time) for part in ("A", "B") for time in (NOON, LATER, None)}) == 6
    assert derived_id("a", "b") != derived_id("ab")


def test_without_a_time_an_id_is_of_version_5() -> None:
    assert uuid.UUID(derived_id("stock", "A")).version == 5


@pytest.mark.parametrize("time", [dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)])
def test_any_time_that_an_event_can_have_gives_an_id(time: dt.datetime) -> None:
    assert str(uuid.UUID(derived_id("a", time=time))) == derived_id("a", time=time)
