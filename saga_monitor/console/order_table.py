"""The table of orders: one row per order; the selected order stays selected."""

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.widgets import DataTable

from saga_monitor.console import rendering
from saga_monitor.console.snapshot import Snapshot

_TO_THE_TOP = {"g", "home"}
_MOVES = {"up", "down", "j", "k", "pageup", "pagedown", "G", "end", *_TO_THE_TOP}


class Orders(DataTable[Text]):
    """The rows, with a hint in the footer that Enter opens one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Open", key_display="⏎"),
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
        Binding("g,home", "scroll_top", show=False),
        Binding("G,end", "scroll_bottom", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="board", cursor_type="row", zebra_stripes=False)
        self._listed: list[str] = []
        self._place: tuple[int, str | None] | None = None
        self._across = 0
        # Whether a person has moved the cursor: then the selected order stays selected, even if it is the first.
        self._moved = False

    def select_first(self) -> None:
        """Select the first row of the next list."""
        self._place, self._moved = None, False
        self.move_cursor(row=0, animate=False)

    def on_key(self, event: Key) -> None:
        if event.key in _MOVES:
            self._moved = event.key not in _TO_THE_TOP

    def rule_columns(self, width: int) -> None:
        """Make the columns for a terminal of that width; the next snapshot fills them."""
        self._place = self._place or (self.cursor_row, self.chosen())
        self.clear(columns=True)
        self._listed, self._across = [], max(40, width - 1)
        for name, columns in rendering.column_widths(self._across).items():
            self.add_column(name, width=columns, key=name)

    def fill(self, snapshot: Snapshot) -> None:
        """Show the orders of `snapshot`; while the list is the same, only changed cells are updated."""
        rows = {o.commande_id: rendering.cells(o, snapshot.now, self._across) for o in snapshot.orders}
        if list(rows) == self._listed:
            for key, cells in rows.items():
                for column, cell in zip(rendering.column_widths(self._across), cells, strict=True):
                    if self.get_cell(key, column) != cell:
                        self.update_cell(key, column, cell)
            return
        row, chosen = self._place or (self.cursor_row, self.chosen())
        self._place = None
        self.clear()
        for key, cells in rows.items():
            self.add_row(*cells, key=key)
        self._listed = list(rows)
        # The cursor stays on the first row, so that new orders are seen; on another row it follows its order.
        if (row > 0 or self._moved) and self._listed:
            row = self._listed.index(chosen) if chosen in rows else min(row, len(self._listed) - 1)
            self.move_cursor(row=row, animate=False)

    def chosen(self) -> str | None:
        """The id of the order under the cursor."""
        row = self.cursor_row
        return self._listed[row] if 0 <= row < len(self._listed) else None
