"""What every screen over the board has: a person leaves it once, and copies the id that it is about."""

from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.screen import Screen

from saga_monitor.diagnosis.anomalies import Anomaly


class OverlayScreen(Screen[Anomaly | None]):
    """A screen over the board; keys typed after it was left are not for it any more."""

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
    """Give `text` to the terminal's clipboard (OSC 52), and say so."""
    if text:
        screen.app.copy_to_clipboard(text)
        screen.notify(f"copied {text}, if this terminal lets programs copy", timeout=4, markup=False)
