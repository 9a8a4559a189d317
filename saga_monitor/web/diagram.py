"""Lays out sequence diagrams: a lane per service, a row per event.

This module computes positions and labels; a template writes the SVG.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from saga_monitor.web.event_roles import GLYPHS, EventRoles
from saga_monitor.web.narrative import TimelineEntry

MOST_ROWS = 60
_HEAD, _FOOT = 46, 14
_STRENGTH = ("answered", "noted", "awaited")
_USUAL_LANES = 5


@dataclass(frozen=True, slots=True)
class Size:
    """Widths, in units of the drawing.

    `character`: an average character of a label. `letter`: a character of a lane's name in a wide font.
    """

    gutter: int
    lane: int
    row: int
    character: float
    letter: float
    narrow: bool
    lanes: tuple[str, ...] = ()

    def of(self, lanes: tuple[str, ...]) -> "Size":
        """This size for these lanes: more of them than usual are narrower, up to a limit."""
        narrower = max(self.lane * 5 / 8, self.lane * _USUAL_LANES / max(len(lanes), _USUAL_LANES))
        return replace(self, lanes=lanes, lane=round(narrower))

    def x(self, lane: str) -> float:
        return self.gutter + self.lane * (self.lanes.index(lane) + 0.5)

    @property
    def width(self) -> int:
        return self.gutter + self.lane * len(self.lanes)


WIDE = Size(gutter=80, lane=184, row=46, character=7.2, letter=9.5, narrow=False)
NARROW = Size(gutter=62, lane=59, row=50, character=6.6, letter=7.4, narrow=True)
SIZES = (WIDE, NARROW)


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one lane to the next consumer; `tip` points to -1 or 1.

    `style`: of its head: `answered`, `noted` (needs no answer) or `awaited`. `line`: of its shaft.
    """

    x1: float
    x2: float
    style: str
    line: str
    tip: int


@dataclass(frozen=True, slots=True)
class Row:
    """`gutter`: the text at the left; `under`: below the line. `weight`: 0 to 4, the thickness of the arrows."""

    y: float
    x: float
    role: str
    kind: str
    label: str
    under: str
    gutter: str
    label_x: float
    anchor: str
    arrows: tuple[Arrow, ...]
    weight: int = 1
    title: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """A vertical line at `x` with the name centred at `name_x`."""

    name: str
    x: float
    name_x: float
    name_y: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """`gutter_x`: the right edge of the texts at the left."""

    width: int
    height: int
    narrow: bool
    gutter_x: int
    lanes: tuple[Lane, ...]
    rows: tuple[Row, ...]
    left_out: int = 0


def of_instance(
    roles: EventRoles, timeline_entries: Sequence[TimelineEntry], size: Size, at_rest: bool
) -> Drawing:
    """The events of an instance. An unanswered arrow is awaited while the instance is not at rest."""
    size = size.of(roles.choreography.speakers)
    answered = {(m.lane, m.causationid, m.cause) for m in timeline_entries if m.kind == "event"}
    rows = [
        _row(roles, moment, n, answered, size, at_rest) for n, moment in enumerate(timeline_entries[:MOST_ROWS])
    ]
    return _drawing(rows, size, max(0, len(timeline_entries) - MOST_ROWS))


def of_choreography(
    roles: EventRoles, counts: Mapping[str, str], weights: Mapping[str, int], size: Size
) -> Drawing:
    """All events of the choreography. `counts`: the text under each; `weights`: the thickness of its arrows."""
    rows, size = [], size.of(roles.choreography.speakers)
    for n, said in enumerate(roles.in_order):
        lane = roles.speaker(said.TYPE)
        styles = {hearer: "answered" if says else "noted" for hearer, says in roles.consumers(said.TYPE).items()}
        arrows = _arrows(size, lane, styles)
        x, (label_x, anchor) = size.x(lane), _place(size.x(lane), arrows, said.TYPE, size)
        part, under = roles.role(said.TYPE), counts.get(said.TYPE, "")
        label = f"{GLYPHS[part]} {said.TYPE}".strip()
        weight = weights.get(said.TYPE, 1)
        y = _y(n, size)
        rows.append(Row(y, x, part, "event", label, under, "", label_x, anchor, arrows, weight, said.TYPE))
    return _drawing(rows, size, 0)


def _row(
    roles: EventRoles,
    moment: TimelineEntry,
    n: int,
    answered: set[tuple[str, str | None, str | None]],
    size: Size,
    at_rest: bool,
) -> Row:
    styles = _styles(roles, moment, answered, at_rest) if moment.kind == "event" else {}
    arrows, x = _arrows(size, moment.lane, styles), size.x(moment.lane)
    words = {"event": GLYPHS.get(moment.role, ""), "retry": "↻ retry of", "dead": "■ dead letter:"}[moment.kind]
    label = _cut(f"{words} {moment.type}".strip(), size.width - size.gutter, size)
    label_x, anchor = _place(x, arrows, label, size)
    room = size.width - label_x if anchor == "start" else label_x - size.gutter
    return Row(
        y=_y(n, size),
        x=x,
        role=moment.role,
        kind=moment.kind,
        label=label,
        under=_cut(moment.note, room, size),
        gutter="" if moment.since_start_ms is None else moment.since_start,
        label_x=label_x,
        anchor=anchor,
        arrows=arrows,
        title=f"{moment.lane}: {moment.type} {moment.note}".strip(),
    )


def _styles(
    roles: EventRoles, moment: TimelineEntry, answered: set[tuple[str, str | None, str | None]], at_rest: bool
) -> dict[str, str]:
    """The style of the arrow to each service that hears the event."""
    styles = {}
    for hearer, says in roles.consumers(moment.type).items():
        unanswered = "awaited" if says and not at_rest else "noted"
        styles[hearer] = "answered" if (hearer, moment.id, moment.type) in answered else unanswered
    return styles


def _arrows(size: Size, lane: str, styles: Mapping[str, str]) -> tuple[Arrow, ...]:
    return tuple(arrow for tip in (-1, 1) for arrow in _one_way(size, size.x(lane), styles, tip))


def _one_way(size: Size, here: float, styles: Mapping[str, str], tip: int) -> Iterator[Arrow]:
    places = {size.x(hearer): style for hearer, style in styles.items() if (size.x(hearer) - here) * tip > 0}
    near = sorted(places, key=lambda x: x * tip)
    for n, x in enumerate(near):
        # The shaft continues to the lanes beyond, so it takes the strongest style of them.
        line = min((places[beyond] for beyond in near[n:]), key=_STRENGTH.index)
        yield Arrow(near[n - 1] if n else here, x, places[x], line, tip)


def _place(x: float, arrows: Iterable[Arrow], label: str, size: Size) -> tuple[float, str]:
    """The position and anchor of a label: along its arrows, within the drawing."""
    ends = [x, *(arrow.x2 for arrow in arrows)]
    wanted = len(label) * size.character
    if min(ends) + 10 + wanted <= size.width:
        return min(ends) + 10, "start"
    return min(max(ends) + 10, size.width - 2), "end"


def _y(n: int, size: Size) -> float:
    return _HEAD + size.row * (n + 0.75)


def _cut(text: str, room: float, size: Size) -> str:
    most = max(4, int(room / size.character))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _drawing(rows: Sequence[Row], size: Size, left_out: int) -> Drawing:
    lanes = tuple(_lane(n, name, size) for n, name in enumerate(size.lanes))
    height = _HEAD + size.row * max(1, len(rows)) + _FOOT
    return Drawing(size.width, height, size.narrow, size.gutter - 8, lanes, tuple(rows), left_out)


def _lane(n: int, name: str, size: Size) -> Lane:
    x = size.x(name)
    # In a narrow drawing every other name is lower, so that names do not overlap.
    lower = size.narrow and n % 2 == 1
    return Lane(name, x, min(x, size.width - 2 - len(name) * size.letter / 2), 34 if lower else 18)
