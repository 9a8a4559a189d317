"""A text over the board: a dead letter, what was heard of an id without an order, or one anomaly in full."""

import datetime as dt
from typing import ClassVar

from rich.console import RenderableType
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Footer, Static

from saga_monitor.console.over import OverlayScreen
from saga_monitor.diagnosis.anomalies import Anomaly
from saga_monitor.projection.dead_letters import letter_at, mentions
from saga_monitor.projection.queries import Queries
from saga_monitor.text.dead_letter_text import letter_view, mentions_view
from saga_monitor.text.safe_text import safe


class TextScreen(OverlayScreen):
    """`copied`: the id that the key for it copies."""

    CSS = (
        "#text { padding: 0 1; background: $background; scrollbar-size-vertical: 1; } #text Static { width: 1fr; }"
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll('scroll_down')", show=False),
        Binding("k", "scroll('scroll_up')", show=False),
        Binding("g,home", "scroll('scroll_home')", show=False),
        Binding("G,end", "scroll('scroll_end')", show=False),
    ]

    def __init__(self, text: RenderableType, copied: str | None = None) -> None:
        super().__init__()
        self._text, self.copied = text, copied

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="text"):
            yield Static(self._text)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#text").focus()

    def action_scroll(self, how: str) -> None:
        getattr(self.query_one("#text"), how)(animate=False)


def letter_text(queries: Queries, offset: int) -> RenderableType | None:
    """The dead letter at that offset, or None."""
    letter = letter_at(queries, offset)
    if letter is None:
        return None
    now = dt.datetime.now(dt.UTC)
    return letter_view(letter, queries.order(letter.commande_id, now) if letter.commande_id else None)


def anomaly_text(queries: Queries, anomaly: Anomaly) -> RenderableType:
    """What there is to see of an anomaly that is about no order: its message, what names its id, its sentence."""
    if anomaly.letter is not None and (text := letter_text(queries, anomaly.letter)):
        return text
    if anomaly.commande_id and (found := mentions(queries, anomaly.commande_id)):
        return mentions_view(anomaly.commande_id, found)
    return safe(anomaly.sentence)
