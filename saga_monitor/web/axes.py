"""The axes of the charts: the time window, the scale of the values, and their positions."""

import datetime as dt
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from saga_monitor.web.filters import BadRequestError
from saga_monitor.web.templating import number

# Room on the left for "100 ms" and "100,000" in the larger font of a phone.
WIDTH, HEIGHT, LEFT = 540, 200, 68
_RIGHT, _TOP, _BOTTOM = 12, 12, 26
# Name → minutes shown, minutes per point: 60 to 96 points.
WINDOWS = {"1h": (60, 1), "6h": (360, 5), "24h": (1440, 15), "7d": (10_080, 120)}
# Durations that people use, with some distance between them.
_TICKS = {
    1: "1 ms",
    10: "10 ms",
    100: "100 ms",
    1000: "1 s",
    10_000: "10 s",
    60_000: "1 min",
    600_000: "10 min",
    3_600_000: "1 h",
    36_000_000: "10 h",
    360_000_000: "100 h",
    3_600_000_000: "1000 h",
}
_TICKS_MS = tuple(_TICKS)

Place = tuple[float, str]


@dataclass(frozen=True, slots=True)
class Window:
    """`count` spans of `step` minutes from the minute `first` on; the last span is not over yet."""

    name: str
    first: int
    step: int
    count: int

    @property
    def after(self) -> int:
        return self.first + self.count * self.step

    @property
    def pitch(self) -> float:
        """The width of a span in the drawing."""
        return (WIDTH - LEFT - _RIGHT) / self.count

    @property
    def span(self) -> str:
        return "minute" if self.step == 1 else f"{self.step} minutes" if self.step < 60 else "2 hours"

    def x(self, span: float) -> float:
        return round(LEFT + span * self.pitch, 1)

    def time(self, span: float) -> dt.datetime:
        return dt.datetime.fromtimestamp((self.first + span * self.step) * 60, dt.UTC)

    def labels(self) -> tuple[Place, ...]:
        form = "%d %b" if self.name == "7d" else "%H:%M"
        spans = [round(self.count * part / 4) for part in range(4)]
        return tuple((self.x(n), f"{self.time(n):{form}}") for n in spans)


def window(name: str, now: dt.datetime) -> Window:
    """The window of that name that ends now. Raises BadRequestError for an unknown name."""
    if name not in WINDOWS:
        raise BadRequestError(f"window: expected one of {', '.join(WINDOWS)}")
    minutes, step = WINDOWS[name]
    # Aligned to whole spans, so that a point does not change between two visits.
    last = int(now.timestamp()) // 60 // step
    count = minutes // step
    return Window(name, (last - count + 1) * step, step, count)


@dataclass(frozen=True, slots=True)
class Axis:
    """`y`: the position of a value. `labels`: the grid lines and their texts."""

    y: Callable[[float], float]
    labels: tuple[Place, ...]


def plain(values: Iterable[float]) -> Axis:
    """A linear axis from 0 to 1, 2, 5 or 10 times a power of ten."""
    most = max(values, default=0)
    power = 10.0 ** math.floor(math.log10(most)) if most > 0 else 1.0
    top = next(power * step for step in (1, 2, 5, 10) if power * step >= most * 0.999)
    return Axis(
        lambda v: _height(v / top), tuple((_height(part), format_number(top * part)) for part in (0, 0.5, 1))
    )


def by_powers(values: Iterable[float]) -> Axis:
    """A logarithmic axis for durations: on a linear one a slow instance would flatten all others."""
    known = [max(value, 1.0) for value in values]
    low = max((t for t in _TICKS_MS[:-1] if t <= min(known, default=1)), default=_TICKS_MS[0])
    high = min((t for t in _TICKS_MS if t >= max(known, default=1) and t > low), default=_TICKS_MS[-1])
    width = math.log(high / low)

    def y(value: float) -> float:
        return _height(math.log(min(max(value, low), high) / low) / width)

    return Axis(y, tuple((y(ms), word) for ms, word in _TICKS.items() if low <= ms <= high))


def format_number(value: float) -> str:
    return number(round(value)) if value >= 10 or value == int(value) else f"{value:.1f}"


def _height(part: float) -> float:
    return round(HEIGHT - _BOTTOM - part * (HEIGHT - _TOP - _BOTTOM), 1)
