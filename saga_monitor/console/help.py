"""The help screen: the keys and the symbols."""

from rich.text import Text
from textual.app import ComposeResult
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Static

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.console.overlays import OverlayScreen
from saga_monitor.diagnosis.anomalies import Anomaly
from saga_monitor.text.tables import STATE_STYLES, STEP_GLYPHS

_KEYS = (
    ("↑ ↓ j k", "choose an order; PgUp PgDn, g Home, G End"),
    ("⏎", "open it: each event under its cause"),
    ("f F", "next or previous filter: a state or a flag"),
    ("/", "search: an id, a client, a reason, … or a day"),
    ("s S", "sort by the next column; reverse the order"),
    ("y", "copy the order's id"),
    ("a", "anomalies; ⏎ opens the order or the message"),
    ("space", "pause the display; reading goes on"),
    ("esc", "back; in the table: show all orders again"),
    ("q", "quit; the totals stay on the terminal"),
)


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

    def compose(self) -> ComposeResult:
        yield Static(self._text(), id="help")

    def _text(self) -> Text:
        text = Text()
        for key, what in _KEYS:
            text.append(f"{key:>14}  ", style="bold cyan").append(f"{what}\n")
        text.append("\nsteps  ", style="dim").append(", ".join(CHOREOGRAPHY.services)).append("\n       ")
        for number, (state, (glyph, style)) in enumerate(STEP_GLYPHS.items()):
            text.append(f"{glyph} {state}   ", style=style)
            text.append("\n       " if number == 3 else "")
        text.append("\nstates ", style="dim")
        for state, style in STATE_STYLES.items():
            text.append(f"{state} ", style=style)
        return text

    def on_key(self, event: Key) -> None:
        event.stop()
        self.leave(None)
