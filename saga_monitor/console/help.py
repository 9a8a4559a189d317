"""The help: what the keys do, and what the signs mean."""

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
    ("⏎", "its timeline: each event under its cause"),
    ("f F", "the next filter: a state, a flag; the one before"),
    ("/", "search: an id, a client, a reason, …; or a day"),
    ("s S", "sort by the next column; the other way round"),
    ("y", "copy the order's id"),
    ("a", "what is wrong; ⏎ opens its order or message"),
    ("space", "pause the picture; the reading goes on"),
    ("esc", "back; on the board, back to all orders"),
    ("q", "quit; the last totals stay on the terminal"),
)


class HelpScreen(ModalScreen[Anomaly | None], OverlayScreen):
    """What the keys do and the signs mean. Any key leads back."""

    # A box and its margins leave nothing of a small terminal.
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
