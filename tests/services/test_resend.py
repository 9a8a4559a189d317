"""`outbox resend` and the outbox publisher at start end although workers keep writing events."""

import datetime as dt

from choregraphie.storage import decided_since, last_number
from choregraphie.storage.outbox import pending_events
from choregraphie.testing import ServiceHarness
from services.stock import SERVICE
from tests.services.conftest import MakeHarness
from tests.support.event_builders import initiee


def orders(harness: ServiceHarness, *names: str) -> None:
    harness.hear(*(initiee(name, produit_id="PROD-456", quantite=1) for name in names))


def test_a_resend_leaves_events_that_were_written_after_its_start(
    make_harness: MakeHarness,
) -> None:
    harness = make_harness(SERVICE)
    orders(harness, "C-1", "C-2")
    with harness.database.begin() as connection:
        last = last_number(connection)
    orders(harness, "C-3")
    with harness.database.begin() as connection:
        for page in (decided_since(connection, _EVER, 10, 0, last), pending_events(connection, 10, 0, last)):
            assert [outbox_event.key for outbox_event in page[0]] == ["C-1", "C-2"]
        assert decided_since(connection, _EVER, 10, last, last) == ([], last)


def test_an_empty_outbox_has_no_last_position(make_harness: MakeHarness) -> None:
    with make_harness(SERVICE).database.begin() as connection:
        assert last_number(connection) == 0


_EVER = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
