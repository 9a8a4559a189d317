"""An optional caption above the table, set by whoever started the console."""

from collections.abc import Callable

from textual.widgets import Static

from saga_monitor.text.tables import safe


class Caption(Static):
    """Shows the text that `read` returns, on at most two lines; hidden while it is empty."""

    def __init__(self, read: Callable[[], str]) -> None:
        super().__init__(id="caption")
        self._read = read

    def redraw(self) -> None:
        text = self._read()
        self.display = bool(text)
        self.update(safe(text))
