"""A caption above the board: what whoever started the console wants to say now."""

from collections.abc import Callable

from textual.widgets import Static

from saga_monitor.text.tables import safe


class Caption(Static):
    """Shows what `read` returns, on at most two lines; no line while that is empty."""

    def __init__(self, read: Callable[[], str]) -> None:
        super().__init__(id="caption")
        self._read = read

    def redraw(self) -> None:
        text = self._read()
        self.display = bool(text)
        self.update(safe(text))
