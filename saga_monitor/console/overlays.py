"""Screens over the table: what they share, and one that shows a text."""

import datetime as dt
from typing import Any, ClassVar

from rich.console import RenderableType
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from saga_monitor.diagnosis.anomalies import Anomaly
from saga_monitor.projection.dead_letters import letter_at, mentions
from saga_monitor.projection.queries import Queries
from saga_monitor.text.dead_letters import dead_letter_view, instance_of, mentions_view
from saga_monitor.text.sanitize import safe


class OverlayScreen(Screen[Anomaly | None]):
    """A screen over the table; it ignores keys that come after it was closed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,backspace", "leave", "Back", key_display="esc"),
        Binding("y", "copy", show=False),
    ]
    copied: str | None = None
    _left = False

    def action_leave(self) -> None:
        self.leave(None)

    def leave(self, answer: Anomaly | None) -> None:
        if not self._left:
            self._left = True
            self.dismiss(answer)

    def action_copy(self) -> None:
        copy(self, self.copied)


def copy(screen: Screen[Any], text: str | None) -> None:
    """Copy `text` to the terminal's clipboard (OSC 52), and say so."""
    if text:
        screen.app.copy_to_clipboard(text)
        screen.notify(f"copied {text}, if this terminal lets programs copy", timeout=4, markup=False)


class TextScreen(OverlayScreen):
    """Shows a text. `copied`: the id that the copy key copies."""

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


def dead_letter_text(queries: Queries, offset: int, program: str) -> RenderableType | None:
    """The dead letter at that offset, or None. `program`: how a person starts the application's command line."""
    letter = letter_at(queries, offset)
    if letter is None:
        return None
    instance = instance_of(queries, letter, dt.datetime.now(dt.UTC))
    return dead_letter_view(letter, instance, queries.sagas, program)


def anomaly_text(queries: Queries, anomaly: Anomaly, program: str) -> RenderableType:
    """The details of an anomaly without an instance: its dead letter, what mentions its key, or its sentence."""
    if anomaly.letter is not None and (text := dead_letter_text(queries, anomaly.letter, program)):
        return text
    if anomaly.key and (found := mentions(queries, anomaly.key, anomaly.saga)):
        return mentions_view(queries.sagas, anomaly.saga, anomaly.key, found)
    return safe(anomaly.sentence)
