"""The field in which a search is typed."""

from collections.abc import Callable

from textual.events import Key
from textual.widgets import Input

from saga_monitor.text.tables import searched_names

_HINT = f"an id, {', '.join(searched_names()[:3])}, … or a day; ⏎ keeps it, esc drops it"


class SearchField(Input):
    """`⏎` and `esc` close it at once, `⏎` with a call of `find`. A key that comes after that is the board's."""

    def __init__(self, find: Callable[[str], None]) -> None:
        super().__init__(id="search", placeholder=_HINT)
        self._find = find

    def open(self) -> None:
        self.display, self.value = True, ""
        self.screen.set_focus(self)

    def close(self) -> None:
        self.display = False
        self.screen.set_focus(self.screen.query_one("#board"))

    def on_key(self, event: Key) -> None:
        if not self.display:
            # Typed before the focus had moved: it goes on to the application, which looks for the board's binding.
            event.prevent_default()
        elif event.key in {"enter", "escape"}:
            self.close()
            if event.key == "enter":
                event.stop()
                event.prevent_default()
                # Textual tells of what was typed only after the keys that are waiting.
                self._find(self.value)
