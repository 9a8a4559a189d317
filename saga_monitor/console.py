"""The screen of the live monitor: what needs a person first, then what is under way, then what has ended."""

import datetime as dt
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Group
from rich.table import Table
from rich.text import Text

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.progress import Flag, State
from saga_monitor.queries import Order, Queries, Totals
from saga_monitor.tables import STATE_STYLES, STEP_GLYPHS, flags_text, safe, state_text, took

RATE_SECONDS = 10.0
NOTICE_SECONDS = 60.0
# The lines that are not orders: heading, totals, troubles, notice, the table's own heading, the key (two).
_FRAME_LINES = 7
_WIDE = 110
_LINK_STYLES = {"live": "green", "reading": "yellow", "connecting": "yellow", "following": "green"}


@dataclass
class Rates:
    """How fast a total grows, over the last seconds."""

    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def per_second(self, total: int, seconds: float) -> float:
        """The rate now that the total is `total`, at `seconds` of any clock that only goes forward."""
        self._seen.append((seconds, total))
        while len(self._seen) > 2 and seconds - self._seen[0][0] > RATE_SECONDS:
            self._seen.popleft()
        then, before = self._seen[0]
        return max(0, total - before) / (seconds - then) if seconds > then else 0.0


@dataclass
class Screen:
    """What the console shows, and the listener that the reading reports to."""

    queries: Queries
    each_change: bool = False
    linked: tuple[str, str] = ("connecting", "")
    _notice: tuple[str, dt.datetime] | None = None
    _events: Rates = field(default_factory=Rates)
    _orders: Rates = field(default_factory=Rates)

    def link(self, word: str, detail: str = "") -> None:
        self.linked = (word, detail)

    def notice(self, text: str) -> None:
        self._notice = (text, dt.datetime.now(dt.UTC))

    def touched(self, commande_ids: Sequence[str]) -> None:
        """The next picture asks the store."""

    def picture(self, width: int, height: int, now: dt.datetime) -> Group:
        """One picture, at most `height` lines of `width` columns."""
        totals = self.queries.totals(now)
        orders = self._chosen(max(1, height - _FRAME_LINES), now)
        return Group(
            self._heading(totals, now),
            _states(totals),
            _troubles(totals),
            self._news(now),
            _board(orders, width, now) if orders else Text("no order yet", style="dim"),
            *_key(),
        )

    def _chosen(self, lines: int, now: dt.datetime) -> list[Order]:
        # Half of the screen at most for what is wrong, so that what goes well can still be followed.
        chosen = {order.commande_id: order for order in self.queries.urgent(max(1, lines // 2), now)}
        for more in (self.queries.in_flight(lines, now), self.queries.orders(None, lines, now)):
            for order in more:
                chosen.setdefault(order.commande_id, order)
        return list(chosen.values())[:lines]

    def _heading(self, totals: Totals, now: dt.datetime) -> Text:
        events = self._events.per_second(totals.count("events"), now.timestamp())
        orders = self._orders.per_second(totals.orders, now.timestamp())
        word, _ = self.linked
        return _line(
            ("chorégraphie ", "bold"),
            (word, _LINK_STYLES.get(word, "bold red")),
            (f" · {short(totals.in_flight)} in flight of {short(totals.orders)} orders", "bold"),
            (f" · {orders:.1f} orders/s · {events:.1f} events/s", ""),
        )

    def _news(self, now: dt.datetime) -> Text:
        _, detail = self.linked
        recent = self._notice and (now - self._notice[1]).total_seconds() < NOTICE_SECONDS
        notice = self._notice[0] if self._notice and recent else ""
        return _line((detail, "red"), (" · " if detail and notice else "", ""), (notice, "bold yellow"))


def _states(totals: Totals) -> Text:
    return _line(*((f"{state} {short(totals.state(state))}  ", STATE_STYLES[state]) for state in State))


def _troubles(totals: Totals) -> Text:
    shown = (Flag.STUCK, Flag.INTERVENTION, *(flag for flag in (Flag.CONTRADICTION,) if totals.flag(flag)))
    flags = {flag: totals.flag(flag) for flag in shown}
    counts = {
        "retries": totals.count("retries"),
        "dead letters": totals.count("dead_letters"),
        "ignored": totals.ignored,
    }
    return _line(
        *((f"{flag} {short(n)}  ", "bold red" if n else "dim") for flag, n in flags.items()),
        *((f"{name} {short(n)}  ", "yellow" if n else "dim") for name, n in counts.items()),
    )


def short(number: int) -> str:
    """A count in at most six characters: `99999`, `250k`, `1.2M`."""
    if number < 100_000:
        return str(number)
    return f"{number // 1000}k" if number < 1_000_000 else f"{number / 1_000_000:.1f}M"


def _board(orders: Sequence[Order], width: int, now: dt.datetime) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", width=width)
    # Fixed widths and one line a row: the picture's height must be known before it is drawn.
    widths = _widths(width)
    for name, columns in widths.items():
        table.add_column(name, width=columns, no_wrap=True, overflow="ellipsis")
    for order in orders:
        cells = {
            "order": safe(order.commande_id, limit=widths["order"]),
            "step": step_bar(order),
            "state": state_text(order.state),
            "elapsed": Text(took(_elapsed_ms(order, now))),
            "last event": safe(order.last_type),
            "flags": _troubled(order, widths["flags"]),
        }
        table.add_row(*cells.values())
    return table


def _widths(width: int) -> dict[str, int]:
    fixed = {"step": 4, "state": 12, "elapsed": 8, "last event": 27 if width >= _WIDE else 16}
    spare = max(20, width - sum(fixed.values()) - 6)
    order = min(40, max(10, spare - (25 if width >= _WIDE else 14)))
    return {"order": order, **fixed, "flags": max(4, spare - order)}


def step_bar(order: Order) -> Text:
    """One glyph per step, in the order of the choreography."""
    bar = Text()
    for step in order.steps:
        bar.append(*STEP_GLYPHS[step.state])
    return bar


def _troubled(order: Order, width: int) -> Text:
    shown = flags_text(order.flags)
    if len(shown) > width:
        # The gravest comes first; how many more there are is enough to go and look.
        return flags_text([f"{order.flags[0]}+{len(order.flags) - 1}"])
    if order.dead_letters:
        shown.append(f"{' ' if shown else ''}{order.dead_letters} dead", style="red")
    if order.retries:
        shown.append(f"{' ' if shown else ''}{order.retries} retried", style="yellow")
    return shown


def _elapsed_ms(order: Order, now: dt.datetime) -> float | None:
    if order.duration_ms is not None:
        return order.duration_ms
    return max(0.0, (now - order.started).total_seconds() * 1000) if order.started else None


def _key() -> tuple[Text, Text]:
    """What the glyphs mean: two lines."""
    glyphs = ((f"{glyph} {state}  ", style) for state, (glyph, style) in STEP_GLYPHS.items())
    return _line(("step: " + ", ".join(CHOREOGRAPHY.services), "dim")), _line(*glyphs)


def _line(*parts: tuple[str, str]) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    for text, style in parts:
        line.append_text(safe(text, style))
    return line
