"""Evaluating with a memory of earlier instances gives what evaluating each by itself gives."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis import evaluations
from saga_monitor.analysis.evaluations import Evaluations, shape_of
from saga_monitor.analysis.events_of_saga import HeardEvent
from saga_monitor.analysis.messages import DeadLetter
from saga_monitor.analysis.saga_state import Flag, evaluate
from tests.saga_monitor.memory_stream import KNOWN, SCENARIOS, START, Line

MEMORY = Evaluations()
TYPES = sorted(CHOREOGRAPHY.event_types)
IDS = ["a", "b", "c", "d", "e", "f"]


def heard(*lines: Line, prefix: str = "", later: dt.timedelta = dt.timedelta()) -> list[HeardEvent]:
    """The events of `lines` in stream order; `prefix`: of their ids."""
    return [
        HeardEvent(
            id=prefix + (line.id or line.type),
            type=line.type,
            service=KNOWN[line.type].SAID_BY,
            time=START + later + dt.timedelta(milliseconds=line.ms),
            causationid=line.cause and prefix + line.cause,
            decides=line.data.get("modele"),
            offset=offset,
        )
        for offset, line in enumerate(lines)
    ]


@st.composite
def any_events(draw: st.DrawFn) -> list[HeardEvent]:
    """Events of any types that answer each other in any way, with any clocks."""
    ids = draw(st.lists(st.sampled_from(IDS), max_size=9, unique=draw(st.booleans())))
    offsets = draw(st.permutations(range(len(ids))))
    return [
        HeardEvent(
            id_,
            type_ := draw(st.sampled_from(TYPES)),
            CHOREOGRAPHY.speaker_of[type_],
            draw(st.none() | st.integers(0, 400_000).map(lambda ms: START + dt.timedelta(milliseconds=ms))),
            draw(st.sampled_from([None, *IDS, "unheard"])),
            draw(st.sampled_from([None, "confirmation", "annulation"])),
            draw(st.booleans()),
            offset,
            draw(st.sampled_from(["/services/a", "/services/b"])),
        )
        for id_, offset in zip(ids, offsets, strict=True)
    ]


@given(any_events())
def test_whatever_was_heard_the_memory_changes_no_evaluation(events: list[HeardEvent]) -> None:
    alone = evaluate(CHOREOGRAPHY, events)
    assert MEMORY.evaluate(CHOREOGRAPHY, events) == alone
    assert MEMORY.evaluate(CHOREOGRAPHY, reversed(events)) == alone  # now from memory


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_instances_that_take_the_same_way_are_judged_once(scenario: str) -> None:
    lines, memory = SCENARIOS[scenario], Evaluations()
    for number in range(3):
        events = heard(*lines, prefix=f"{number}-", later=dt.timedelta(hours=number))
        assert memory.evaluate(CHOREOGRAPHY, events) == evaluate(CHOREOGRAPHY, events)
    assert len(memory) == 1


def test_a_wrong_clock_is_found_though_the_way_is_known() -> None:
    lines, memory = SCENARIOS["created"], Evaluations()
    memory.evaluate(CHOREOGRAPHY, heard(*lines))
    early = [
        replace(e, time=e.time and e.time - dt.timedelta(hours=2)) if e.service == "paiement" else e
        for e in heard(*lines)
    ]
    progress = memory.evaluate(CHOREOGRAPHY, early)
    assert progress == evaluate(CHOREOGRAPHY, early)
    assert [step.left_out for step in progress.steps] == [False, True, True, False]


def test_a_dead_letter_counts_though_the_way_is_known() -> None:
    events, memory = heard(*SCENARIOS["created"][:2]), Evaluations()
    given_up = [DeadLetter("paiement", "stock.reserve", "exhausted")]
    assert memory.evaluate(CHOREOGRAPHY, events).flags == ()
    assert memory.evaluate(CHOREOGRAPHY, events, given_up).flags == (Flag.INTERVENTION,)
    assert memory.evaluate(CHOREOGRAPHY, events).flags == ()


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that never stops sends events of ever new ways."""
    monkeypatch.setattr(evaluations, "OUTLINES_KEPT", 3)
    memory, lines = Evaluations(), SCENARIOS["created"]
    for length in (*range(len(lines)), *range(len(lines))):
        events = heard(*lines[: length + 1])
        assert memory.evaluate(CHOREOGRAPHY, events) == evaluate(CHOREOGRAPHY, events)
    assert len(memory) == 3
    assert shape_of(heard(*(Line("commande.initiee", id=str(n)) for n in range(1000)))) is None
