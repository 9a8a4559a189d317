"""Draws the spans of one instance as SVG: a bar for each, in the colour of its service, and its links. Pure."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scripts.otlp_receiver import ReceivedSpan

COLOURS = ("#2563eb", "#b45309", "#7c3aed", "#047857", "#be123c", "#0e7490")
ERROR = "#dc2626"
TEXT, FAINT, GRID = "#1f2937", "#6b7280", "#e5e7eb"
ROW, TOP, LEFT, RIGHT, GAP = 22, 64, 500, 1180, 20
_FONT = 'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="12"'
# A span of microseconds is still seen.
_LEAST = 3


def about(spans: Iterable[ReceivedSpan], key: str) -> list[ReceivedSpan]:
    """The spans of an instance, and those of groups that are linked to it, the oldest first."""
    every = [*spans]
    ids = {span.span_id for span in every if span.key == key}
    chosen = [span for span in every if span.key == key or (not span.key and ids & {*span.links})]
    return sorted(chosen, key=lambda span: (span.began, span.ended))


def drawing(spans: Sequence[ReceivedSpan], key: str) -> str:
    """The picture of `spans`, which are about `key`. Raises ValueError when there are none."""
    first, last = min(span.began for span in spans), max(span.ended for span in spans)
    scale = (RIGHT - LEFT) / max(1, last - first)
    at = {span.span_id: (LEFT + (span.began - first) * scale, TOP + ROW * row) for row, span in enumerate(spans)}
    width = {span.span_id: max(_LEAST, (span.ended - span.began) * scale) for span in spans}
    services = [*dict.fromkeys(span.service for span in spans)]
    colours = {service: COLOURS[n % len(COLOURS)] for n, service in enumerate(services)}
    bottom = TOP + ROW * len(spans)
    height = bottom + GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {RIGHT + GAP} {height}" width="{RIGHT + GAP}" '
        f'height="{height}" role="img" aria-label="The spans of {escape(key)}">',
        f'<rect width="{RIGHT + GAP}" height="{height}" fill="#ffffff"/>',
        _text(
            GAP,
            24,
            f"{key}: {len(spans)} spans of {len(services)} services in {(last - first) / 1e6:.0f} ms",
            TEXT,
        ),
        *_legend(colours),
        *_axis(last - first, bottom),
        *(line for span in spans for line in _links(span, at, width)),
        *(line for span in spans for line in _bar(span, at[span.span_id], width[span.span_id], colours)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _legend(colours: dict[str, str]) -> Iterator[str]:
    x = GAP
    for service, colour in colours.items():
        yield f'<rect x="{x}" y="36" width="12" height="12" fill="{colour}"/>'
        yield _text(x + 18, 46, service, TEXT)
        x += 40 + 8 * len(service)


def _axis(nanoseconds: int, bottom: int) -> Iterator[str]:
    for part in range(5):
        x = LEFT + (RIGHT - LEFT) * part / 4
        yield f'<path d="M{x:.1f} {TOP - 6}V{bottom}" stroke="{GRID}"/>'
        yield _text(
            x, TOP - 10, f"{nanoseconds * part / 4e6:.0f} ms", FAINT, anchor="middle" if part < 4 else "end"
        )


def _bar(span: ReceivedSpan, at: tuple[float, int], width: float, colours: dict[str, str]) -> Iterator[str]:
    x, y = at
    colour = ERROR if span.failed else colours[span.service]
    yield _text(GAP, y + 14, span.name, colour if span.failed else TEXT)
    yield f'<rect x="{x:.1f}" y="{y + 4}" width="{width:.1f}" height="14" rx="2" fill="{colour}"/>'


def _links(span: ReceivedSpan, at: dict[str, tuple[float, int]], width: dict[str, float]) -> Iterator[str]:
    """A curve from the end of each span that it is linked to."""
    for link in {*span.links, span.parent_id} & at.keys():
        (x, y), (to_x, to_y) = at[link], at[span.span_id]
        x += width[link] if link in span.links else 0
        y, to_y = y + 11, to_y + 11
        dashes = ' stroke-dasharray="4 3"' if link in span.links else ""
        curve = f"M{x:.1f} {y}C{x + 24:.1f} {to_y} {to_x - 24:.1f} {to_y} {to_x:.1f} {to_y}"
        yield f'<path d="{curve}" fill="none" stroke="{FAINT}"{dashes}/>'


def _text(x: float, y: int, text: str, colour: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y}" {_FONT} fill="{colour}" text-anchor="{anchor}">{escape(text)}</text>'
