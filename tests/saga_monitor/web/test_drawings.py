"""The sequence diagrams show the events of the history."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from choregraphie.terminal.formats import format_duration
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.projection import time_series
from saga_monitor.projection.queries import RecordedEvent, SagaSummary
from saga_monitor.web import axes, charts, diagram, narrative
from saga_monitor.web.event_roles import EventRoles
from saga_monitor.web.filters import BadRequestError
from tests.saga_monitor.memory_stream import SCENARIOS, START, Line, event_id
from tests.support.order_saga import evaluate

if TYPE_CHECKING:
    from collections.abc import Callable

    from choregraphie.saga.envelope import Event

NOW = START + dt.timedelta(seconds=30)
ROLES = EventRoles(CHOREOGRAPHY)
SIZES = [diagram.WIDE, diagram.NARROW]


def event(type_: str, offset: int, id_: str, cause: str | None = None, ms: int = 0) -> RecordedEvent:
    return RecordedEvent(id_, type_, "/x/y", START + dt.timedelta(milliseconds=ms), cause, offset, None)


def events_of(lines: list[Line]) -> list[RecordedEvent]:
    return [
        event(line.type, n, event_id("C", line), event_id("C", Line(line.cause)) if line.cause else None, line.ms)
        for n, line in enumerate(lines)
    ]


def order(*, at_rest: bool = True) -> SagaSummary:
    judged = evaluate([])
    steps = judged.steps
    return SagaSummary(
        "commande", "C", judged.state, (), at_rest, steps, (), START, START, START, None, "x", 1, 0, 0
    )


@pytest.mark.parametrize("size", SIZES, ids=["wide", "narrow"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_event_has_a_row_within_the_drawing(name: str, size: diagram.Size) -> None:
    events = events_of(SCENARIOS[name])
    drawing = diagram.of_instance(
        ROLES, narrative.timeline_entries(ROLES, order(), events, [], []), size, at_rest=True
    )
    assert len(drawing.rows) == len(events)
    for row in drawing.rows:
        wide = len(row.label) * size.character
        left = row.label_x if row.anchor == "start" else row.label_x - wide
        assert left >= 0
        assert left + wide <= drawing.width + 1
        assert row.y + 15 <= drawing.height
        assert all(0 < arrow.x2 < drawing.width for arrow in row.arrows)


def test_a_cause_that_came_late_is_drawn_first() -> None:
    late = [event("stock.reserve", 5, "b", "a", 100), event("commande.initiee", 9, "a")]
    told = narrative.timeline_entries(ROLES, order(), late, [], [])
    assert [moment.type for moment in told] == ["commande.initiee", "stock.reserve"]
    assert told[1].after_ms == 100


def test_lies_about_causes_are_drawn_as_they_are() -> None:
    """A cycle of causes, an event that is its own cause, a cause that was not heard."""
    ring = [
        event("commande.initiee", 0, "a", "c"),
        event("stock.reserve", 1, "b", "a"),
        event("paiement.effectue", 2, "c", "b"),
        event("commande.creee", 3, "d", "d"),
        event("stock.libere", 4, "e", "nobody"),
        event("something.else", 5, "f"),
    ]
    told = narrative.timeline_entries(ROLES, order(), ring, [], [])
    assert len(told) == len(ring)
    assert told[-2].cause == "an event that was not heard"
    assert told[-1].role == "unknown"
    assert diagram.of_instance(ROLES, told, diagram.WIDE, at_rest=False).rows


def test_a_long_story_is_cut_and_says_so() -> None:
    spam = [event("commande.initiee", n, f"e{n}") for n in range(1000)]
    told = narrative.timeline_entries(ROLES, order(), spam, [], [])
    assert len(told) == narrative.MOST_ENTRIES
    assert (
        diagram.of_instance(ROLES, told, diagram.WIDE, at_rest=True).left_out
        == narrative.MOST_ENTRIES - diagram.MOST_ROWS
    )


def test_a_retry_stands_where_it_happened() -> None:
    events = events_of(SCENARIOS["created"])
    again = Retry("paiement", events[1].id, 1, detail="slow", at=START + dt.timedelta(seconds=1))
    told = narrative.timeline_entries(ROLES, order(), events, [again], [])
    assert [moment.kind for moment in told[:4]] == ["event", "retry", "event", "event"] or (
        [moment.kind for moment in told[:3]] == ["event", "event", "retry"]
    )


def test_a_retry_is_never_shown_before_what_it_retries() -> None:
    """AMQP timestamps are whole seconds: half of all retries would precede their events."""
    begun = replace(order(), started=START + dt.timedelta(milliseconds=557))
    events = [event("commande.initiee", 0, "a", ms=557), event("stock.reserve", 2, "b", "a", ms=3900)]
    retries = [Retry("stock", "a", 1, at=START), Retry("paiement", "b", 3, at=START)]
    letters = [DeadLetter("stock", None, "exhausted", "commande.initiee", 4, at=START)]
    told = narrative.timeline_entries(ROLES, begun, events, retries, letters)
    assert [moment.kind for moment in told] == ["event", "retry", "event", "retry", "dead"]
    assert [moment.since_start_ms for moment in told] == [0, 0, 3343, 3343, 3343]
    gutters = [row.gutter for row in diagram.of_instance(ROLES, told, diagram.WIDE, at_rest=False).rows]
    assert not any("-" in gutter for gutter in gutters)


def test_a_clock_that_is_behind_shows_no_time_below_nothing() -> None:
    early = [event("commande.initiee", 0, "a"), event("stock.reserve", 1, "b", "a", ms=-5000)]
    told = narrative.timeline_entries(ROLES, order(), early, [], [])
    assert [(moment.since_start_ms, moment.after_ms) for moment in told] == [(0, None), (0, 0)]


def test_only_what_is_called_for_is_awaited() -> None:
    told = narrative.timeline_entries(ROLES, order(), events_of(SCENARIOS["created"])[:1], [], [])
    (row,) = diagram.of_instance(ROLES, told, diagram.WIDE, at_rest=False).rows
    assert [arrow.style for arrow in row.arrows] == ["awaited", "noted"]
    (row,) = diagram.of_instance(ROLES, told, diagram.WIDE, at_rest=True).rows
    assert {arrow.style for arrow in row.arrows} == {"noted"}


@pytest.mark.parametrize("said", CHOREOGRAPHY.events, ids=lambda said: said.TYPE)
def test_every_event_of_the_choreography_has_its_place(said: type[Event]) -> None:
    type_ = said.TYPE
    assert ROLES.role(type_) != "unknown"
    assert set(ROLES.consumers(type_)) == {r.service for r in CHOREOGRAPHY.reactions if r.hears is said}
    assert type_ in ROLES.awaited_sentence(type_)
    assert ROLES.in_order.count(said) == 1


@pytest.mark.parametrize("name", axes.WINDOWS)
@pytest.mark.parametrize("make", charts.ALL)
def test_a_chart_of_nothing_divides_nothing_by_zero(make: Callable[..., charts.Chart], name: str) -> None:
    window = axes.window(name, NOW)
    chart = make({}, window, "orders")
    assert chart.empty
    assert len(chart.table) == window.count + 1
    assert window.time(window.count) > NOW >= window.time(window.count - 1)


def test_an_unknown_window_is_refused() -> None:
    with pytest.raises(BadRequestError, match="expected one of 1h"):
        axes.window("2h", NOW)


def test_a_minute_between_two_empty_ones_is_a_point_that_can_be_seen() -> None:
    window = axes.window("1h", NOW)
    took_100_ms = {f"took.{time_series.bucket(100)}": 3}
    chart = charts.durations(
        {10: took_100_ms, 20: took_100_ms, 21: took_100_ms, 59: took_100_ms}, window, "orders"
    )
    assert {point.x for point in chart.points} == {window.x(10.5), window.x(59.5)}
    assert len(chart.points) == 2 * 3
    # The line is where two cells are next to each other.
    assert all(path.count("L") == 1 for _, path in chart.curves)


def test_a_legend_says_what_its_figures_are_of() -> None:
    window = axes.window("6h", NOW)
    found = {chart.id: chart.legend_of for chart in (make({}, window, "orders") for make in charts.ALL)}
    assert found == {
        "rates": "of the last whole 5 minutes",
        "durations": "of the last 5 minutes that had any",
        "outcomes": "of the whole 6h",
        "trouble": "of the whole 6h",
    }


@pytest.mark.parametrize("values", [[0.4], [350, 900_000], [10**12], [1, 1], [0]])
def test_durations_lie_within_the_axis(values: list[float]) -> None:
    axis = axes.by_powers(values)
    assert all(0 <= axis.y(value) <= axes.HEIGHT for value in values)
    assert len(axis.labels) >= 2
    assert format_duration(1000) == "1.0 s"
