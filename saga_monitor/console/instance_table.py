"""The table of instances: one row per instance; the selected instance stays selected."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.widgets import DataTable

from choregraphie.saga.envelope import Instance
from choregraphie.saga.saga_set import SagaSet
from saga_monitor.console.instance_row import cells, column_widths
from saga_monitor.console.snapshot import Snapshot

_TO_THE_TOP = {"g", "home"}
_MOVES = {"up", "down", "j", "k", "pageup", "pagedown", "G", "end", *_TO_THE_TOP}


class InstanceTable(DataTable[Text]):
    """The rows, with a hint in the footer that Enter opens one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Open", key_display="⏎"),
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
        Binding("g,home", "scroll_top", show=False),
        Binding("G,end", "scroll_bottom", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="instances", cursor_type="row", zebra_stripes=False)
        self._listed: list[Instance] = []
        self._place: tuple[int, Instance | None] | None = None
        self._across, self._sagas = 0, SagaSet(())
        # Whether a person has moved the cursor: the selected instance then stays selected, even the first one.
        self._moved = False

    def select_first(self) -> None:
        """Select the first row of the next list."""
        self._place, self._moved = None, False
        self.move_cursor(row=0, animate=False)

    def on_key(self, event: Key) -> None:
        if event.key in _MOVES:
            self._moved = event.key not in _TO_THE_TOP

    def rule_columns(self, width: int, sagas: SagaSet) -> None:
        """Make the columns for `sagas` on a terminal of that width; the next snapshot fills them."""
        self._place = self._place or (self.cursor_row, self.chosen())
        self.clear(columns=True)
        self._listed, self._across, self._sagas = [], max(40, width - 1), sagas
        for name, columns in column_widths(self._across, sagas).items():
            self.add_column(name, width=columns, key=name)

    def fill(self, snapshot: Snapshot) -> None:
        """Show the instances of `snapshot`; while the list is the same, only changed cells are updated."""
        if snapshot.sagas != self._sagas:
            return  # of the sagas that were shown before the columns changed
        rows = {one.instance: cells(one, snapshot.now, self._across, self._sagas) for one in snapshot.instances}
        if list(rows) == self._listed:
            self._update(rows)
            return
        row, chosen = self._place or (self.cursor_row, self.chosen())
        self._place = None
        self.clear()
        for instance, row_cells in rows.items():
            self.add_row(*row_cells, key=_row_key(instance))
        self._listed = list(rows)
        # The cursor stays on the first row, so that new instances are seen; elsewhere it follows its instance.
        if (row > 0 or self._moved) and self._listed:
            row = self._listed.index(chosen) if chosen in rows else min(row, len(self._listed) - 1)
            self.move_cursor(row=row, animate=False)

    def _update(self, rows: Mapping[Instance, Sequence[Text]]) -> None:
        for instance, row_cells in rows.items():
            key = _row_key(instance)
            for column, cell in zip(column_widths(self._across, self._sagas), row_cells, strict=True):
                if self.get_cell(key, column) != cell:
                    self.update_cell(key, column, cell)

    def chosen(self) -> Instance | None:
        """The instance under the cursor."""
        row = self.cursor_row
        return self._listed[row] if 0 <= row < len(self._listed) else None

    def chosen_key(self) -> str | None:
        """The key of the instance under the cursor."""
        chosen = self.chosen()
        return chosen.key if chosen else None


def _row_key(instance: Instance) -> str:
    return "/".join(instance)
