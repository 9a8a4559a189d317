"""Draws rates, durations, outcomes and trouble over time as SVG data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from choregraphie.terminal.formats import format_duration
from saga_monitor.projection.time_series import percentiles
from saga_monitor.web.axes import Axis, Place, Window, by_powers, format_number, plain

Spans = Mapping[int, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Series:
    """One value per span, or None. `style`: the CSS class of its colour and dashes."""

    name: str
    style: str
    values: Sequence[float | None]

    @property
    def known(self) -> list[float]:
        return [value for value in self.values if value is not None]


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    style: str


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float
    style: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`curves`: style and SVG path. `points`: single values between two gaps.

    `table`: the same values as text, headings first.
    """

    id: str
    title: str
    about: str
    curves: tuple[tuple[str, str], ...]
    points: tuple[Point, ...]
    bars: tuple[Bar, ...]
    legend: tuple[tuple[str, str, str], ...]  # style, name, a figure
    legend_of: str  # what the figures are of
    across: tuple[Place, ...]
    down: tuple[Place, ...]
    table: tuple[tuple[str, ...], ...]
    empty: bool


def rates(spans: Spans, window: Window, many: str) -> Chart:
    started = _each(spans, window, "started")
    settled = _each(spans, window, "completed", "compensated")
    series = [
        Series("started", "one", [n / window.step for n in started]),
        Series("settled", "two", [n / window.step for n in settled]),
    ]
    return _lines("rates", f"{many.capitalize()} a minute", "started and settled", series, window)


def durations(spans: Spans, window: Window, many: str) -> Chart:
    found = [percentiles(spans.get(n, {}), (50, 95, 99)) for n in range(window.count)]
    names = (("p50", "one"), ("p95", "two"), ("p99", "three"))
    series = [Series(name, style, [values[i] for values in found]) for i, (name, style) in enumerate(names)]
    about = f"of {many}, from the start to the last event that settles them, within 9 %; logarithmic"
    return _lines("durations", "Time to settle", about, series, window, format_duration)


def outcomes(spans: Spans, window: Window, many: str) -> Chart:
    series = [
        Series("completed", "good", _each(spans, window, "completed")),
        Series("cancelled and undone", "undoing", _each(spans, window, "compensated")),
    ]
    return _bars("outcomes", "Outcomes", f"{many} settled", series, window)


def trouble(spans: Spans, window: Window, _: str) -> Chart:
    series = [
        Series("retries", "retry", _each(spans, window, "retries")),
        Series("dead letters", "dead", _each(spans, window, "dead_letters")),
    ]
    return _bars("trouble", "Trouble", "messages put back for another try, and dead letters", series, window)


# Each is given what instances are called.
ALL = (rates, durations, outcomes, trouble)


def _each(spans: Spans, window: Window, *names: str) -> list[float]:
    return [sum(spans.get(n, {}).get(name, 0) for name in names) for n in range(window.count)]


def _lines(
    id_: str,
    title: str,
    about: str,
    series: Sequence[Series],
    window: Window,
    say: Callable[[float], str] = format_number,
) -> Chart:
    known = [value for one in series for value in one.known]
    timed = say is format_duration
    axis = by_powers(known) if timed else plain(known)
    return Chart(
        id=id_,
        title=title,
        about=f"{about}; by {window.span}",
        curves=tuple((one.style, _path(one.values, axis, window)) for one in series),
        points=tuple(point for one in series for point in _alone(one, axis, window)),
        bars=(),
        legend=tuple((one.style, one.name, _latest(one, say)) for one in series),
        legend_of=f"of the last {window.span} that had any"
        if say is format_duration
        else f"of the last whole {window.span}",
        across=axis.labels,
        down=window.labels(),
        table=_table(series, window, say),
        empty=not any(known),
    )


def _bars(id_: str, title: str, about: str, series: Sequence[Series], window: Window) -> Chart:
    axis = plain([sum(column) for column in zip(*(one.known for one in series), strict=True)])
    bars: list[Bar] = []
    for n in range(window.count):
        below = 0.0
        for one in series:
            count = one.known[n]
            if count:
                y = axis.y(below + count)
                height = round(axis.y(below) - y, 1)
                bars.append(Bar(round(window.x(n) + 1, 1), y, round(window.pitch - 2, 1), height, one.style))
            below += count
    return Chart(
        id=id_,
        title=title,
        about=f"{about}; by {window.span}",
        curves=(),
        points=(),
        bars=tuple(bars),
        legend=tuple((one.style, one.name, format_number(sum(one.known))) for one in series),
        legend_of=f"of the whole {window.name}",
        across=axis.labels,
        down=window.labels(),
        table=_table(series, window, format_number),
        empty=not bars,
    )


def _path(values: Sequence[float | None], axis: Axis, window: Window) -> str:
    """An SVG path through the values, interrupted where one is missing."""
    path, drawing = [], False
    for n, value in enumerate(values):
        if value is None:
            drawing = False
            continue
        path.append(f"{'L' if drawing else 'M'}{window.x(n + 0.5)} {axis.y(value)}")
        drawing = True
    return "".join(path)


def _alone(series: Series, axis: Axis, window: Window) -> Iterator[Point]:
    """Single values between two gaps: a path through one point is invisible."""
    around = (None, *series.values, None)
    for n, value in enumerate(series.values):
        if value is not None and around[n] is None and around[n + 2] is None:
            yield Point(window.x(n + 0.5), axis.y(value), series.style)


def _latest(series: Series, say: Callable[[float], str]) -> str:
    # Without the last span, which is not over and would always look like a drop.
    over = [value for value in series.values[:-1] if value is not None]
    return say(over[-1]) if over else "–"


def _table(series: Sequence[Series], window: Window, say: Callable[[float], str]) -> tuple[tuple[str, ...], ...]:
    heading = ("from (UTC)", *(one.name for one in series))
    rows = [
        (f"{window.time(n):%d %b %H:%M}", *("–" if (v := one.values[n]) is None else say(v) for one in series))
        for n in reversed(range(window.count))
    ]
    return (heading, *rows)
