"""The input field of the search."""

from collections.abc import Callable

from textual.events import Key
from textual.widgets import Input

from choregraphie.saga.saga_set import SagaSet
from saga_monitor.text.tables import searched_names


class SearchField(Input):
    """Enter and Escape close it at once; Enter calls `find`. Later keys go to the table."""

    def __init__(self, find: Callable[[str], None], sagas: SagaSet) -> None:
        fields = ", ".join(["a key", *searched_names(sagas)[:3]])
        super().__init__(id="search", placeholder=f"{fields}, … or a day; ⏎ keeps it, esc drops it")
        self._find = find

    def open(self) -> None:
        self.display, self.value = True, ""
        self.screen.set_focus(self)

    def close(self) -> None:
        self.display = False
        self.screen.set_focus(self.screen.query_one("#instances"))

    def on_key(self, event: Key) -> None:
        if not self.display:
            # Typed before the focus moved: let the application find the table's binding.
            event.prevent_default()
        elif event.key in {"enter", "escape"}:
            self.close()
            if event.key == "enter":
                event.stop()
                event.prevent_default()
                # Textual reports the typed text only after the keys that are already waiting.
                self._find(self.value)
