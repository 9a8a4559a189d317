"""An event that the engine says has the bytes of its envelope, whatever its texts and its time are."""

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from choregraphie.saga.envelope import Event, wrap, written
from choregraphie.saga.fields import Identifier, Reason
from contracts.choreography import CHOREOGRAPHY
from contracts.commande import CommandeAnnulee
from tests.contracts.examples import example

NOON = dt.datetime(2026, 1, 1, 13, 0, 0, 123999, tzinfo=dt.timezone(dt.timedelta(hours=1)))
IDENTIFIER, REASON = TypeAdapter(Identifier), TypeAdapter(Reason)


def accepted(by: TypeAdapter[str], longest: int) -> st.SearchStrategy[str]:
    def accepts(text: str) -> bool:
        try:
            return bool(by.validate_python(text))
        except ValidationError:
            return False

    characters = st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('"\\/<>&é\u2027😀')
    return st.text(characters, min_size=1, max_size=longest).filter(accepts)


IDENTIFIERS = accepted(IDENTIFIER, 100)


def both(event: Event, **envelope: Any) -> tuple[bytes, bytes]:
    more = {"id": "e-1", "source": "/services/stock", "time": NOON, **envelope}
    return written(event, **more), wrap(event, **more).to_bytes()


@pytest.mark.parametrize("type_", sorted(CHOREOGRAPHY.event_types))
@pytest.mark.parametrize("cause", [None, "c-1"])
def test_every_event_is_written_as_its_envelope_is(type_: str, cause: str | None) -> None:
    event = CHOREOGRAPHY.event_types[type_].model_validate_json(json.dumps(example(type_)["data"]))
    ours, of_envelope = both(event, causationid=cause)
    assert ours == of_envelope


@given(key=IDENTIFIERS, cause=st.none() | IDENTIFIERS, raison=accepted(REASON, 200), time=st.datetimes())
def test_any_text_and_any_time_is_written_as_its_envelope_is(
    key: str, cause: str | None, raison: str, time: dt.datetime
) -> None:
    event = CommandeAnnulee(commande_id=key, raison=raison)
    ours, of_envelope = both(event, id=key, causationid=cause, time=time.replace(tzinfo=dt.UTC))
    assert ours == of_envelope


@pytest.mark.parametrize("cause", ["", "a\x00b", "x" * 101])
def test_a_cause_that_no_reader_accepts_is_refused(cause: str) -> None:
    with pytest.raises(ValidationError):
        both(CommandeAnnulee(commande_id="C", raison="r"), causationid=cause)


class Unbounded(Event):
    SAGA = "s"
    KEY = "cle"
    TYPE = "t"
    SAID_BY = "stock"

    cle: str


def test_a_key_that_no_reader_accepts_is_refused() -> None:
    with pytest.raises(ValidationError):
        both(Unbounded(cle="x" * 101))
