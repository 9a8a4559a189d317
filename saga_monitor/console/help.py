"""The help screen: the keys and the symbols."""

from collections.abc import Iterator

from rich.text import Text
from textual.app import ComposeResult
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Static

from choregraphie.saga.saga_set import SagaSet
from saga_monitor.console.overlays import OverlayScreen
from saga_monitor.diagnosis.anomalies import Anomaly
from saga_monitor.text.tables import STATE_STYLES, STEP_GLYPHS, searched_names


def _keys(sagas: SagaSet) -> Iterator[tuple[str, str]]:
    one, many = sagas.noun
    yield "↑ ↓ j k", "choose a line; PgUp PgDn, g Home, G End"
    yield "⏎", "open it: each event under its cause"
    yield "f F", "next or previous filter: a state or a flag"
    if sagas.several:
        yield "c", f"only the next saga: {', '.join(sagas.by_name)}; then all"
    yield "/", f"search: {', '.join(['a key', *searched_names(sagas)[:2]])}, … or a day"
    yield "s S", "sort by the next column; reverse the order"
    yield "y", f"copy the {one}'s key"
    yield "a", f"anomalies; ⏎ opens the {one} or the message"
    yield "space", "pause the display; reading goes on"
    yield "esc", f"back; in the table: show all {many} again"
    yield "q", "quit; the totals stay on the terminal"


class HelpScreen(ModalScreen[Anomaly | None], OverlayScreen):
    """The keys and the symbols. Any key closes it."""

    # A small terminal has no room for a box with margins.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-wide")]  # noqa: RUF012 - declared so by Screen
    VERTICAL_BREAKPOINTS = [(0, "-low"), (12, "-high")]  # noqa: RUF012 - declared so by Screen
    CSS = """
    HelpScreen { align: center middle; }
    #help { width: auto; max-width: 90%; height: auto; max-height: 95%; padding: 1 2; border: round $primary;
            background: $surface; }
    HelpScreen.-narrow #help, HelpScreen.-low #help {
        max-width: 100%; max-height: 100%; padding: 0; border: none;
    }
    """

    def __init__(self, sagas: SagaSet) -> None:
        super().__init__()
        self._sagas = sagas

    def compose(self) -> ComposeResult:
        yield Static(self._text(), id="help")

    def _text(self) -> Text:
        text = Text()
        for key, what in _keys(self._sagas):
            text.append(f"{key:>14}  ", style="bold cyan").append(f"{what}\n")
        text.append("\n       ")
        for number, (state, (glyph, style)) in enumerate(STEP_GLYPHS.items()):
            text.append(f"{glyph} {state}   ", style=style)
            text.append("\n       " if number == 3 else "")
        text.append("\nstates ", style="dim")
        for state, style in STATE_STYLES.items():
            text.append(f"{state} ", style=style)
        for saga in self._sagas:
            name = f" of {saga.name}" if self._sagas.several else ""
            steps = ", ".join(step.name for step in saga.steps)
            text.append(f"\nsteps{name}  ", style="dim").append(steps)
        return text

    def on_key(self, event: Key) -> None:
        event.stop()
        self.leave(None)
