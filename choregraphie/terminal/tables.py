"""Tables that fit the terminal: keys stay whole, text wraps between words, optional columns are dropped first.

Where even then there is no room, each row is a list of its fields, one per line. On a pipe, and where a person
asks for `--wide`, the console is wider than any line, and all is shown in full.
"""

import datetime as dt
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from choregraphie.terminal.formats import format_duration

# Wider than any line: an id has at most 100 characters, a reason 500.
UNBOUNDED = 10_000
_GAP = 2
# In less room, a text would be a column of single words.
_NARROWEST_TEXT = 18
# Where columns are folded into less, a table cannot be read.
_FOLDED = 8
_SHORTEST_ID = 8
# The indentation of a wrapped line.
_HANGING = 4
_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    goes   0: it always stays; of the others, the one with the highest number is dropped first
    wraps  its text may take several lines
    """

    name: str
    goes: int = 0
    wraps: bool = False
    right: bool = False


class Fitted:
    """A table that fits the width of its console, and names the columns it leaves out. In little room: lists."""

    def __init__(self, *columns: Column) -> None:
        self._columns = columns
        self._rows: list[list[Text]] = []

    def add_row(self, *cells: str | Text) -> None:
        """Add a row. Cells are text, never markup."""
        self._rows.append([cell if isinstance(cell, Text) else Text(cell) for cell in cells])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = [self._natural(place) for place in range(len(self._columns))]
        kept = self._kept(widths, options.max_width)
        foldable = [place for place in kept if place == kept[0] or self._columns[place].wraps]
        if _total(min(widths[p], _FOLDED) if p in foldable else widths[p] for p in kept) > options.max_width:
            yield self._lists()
            return
        tight = _total(self._least(place, widths) for place in kept) > options.max_width
        yield self._table(kept, widths, folded_key=tight)
        if left_out := [
            c.name for place, c in enumerate(self._columns) if place not in kept and self._filled(place)
        ]:
            yield Text(f"not shown: {', '.join(left_out)}; --wide shows all", style="dim")

    def _table(self, kept: Sequence[int], widths: Sequence[int], *, folded_key: bool) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
        for place in kept:
            column = self._columns[place]
            foldable = column.wraps or (folded_key and place == kept[0])
            table.add_column(
                column.name,
                no_wrap=not foldable,
                overflow="fold",
                justify="right" if column.right else "left",
                min_width=None if foldable else widths[place],
            )
        for row in self._rows:
            table.add_row(*(row[place] for place in kept))
        return table

    def _lists(self) -> Table:
        """Every row as a list of its fields, with an empty line between two rows."""
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=False)
        table.add_column(no_wrap=True, style="bold")
        table.add_column(overflow="fold")
        for number, row in enumerate(self._rows):
            if number:
                table.add_row()
            for column, cell in zip(self._columns, row, strict=True):
                if cell.plain:
                    table.add_row(column.name, cell)
        return table

    def _kept(self, widths: Sequence[int], room: int) -> list[int]:
        """The columns for which there is room."""
        kept = list(range(len(self._columns)))
        if room < UNBOUNDED:
            kept = [place for place in kept if place == 0 or self._filled(place)]
        while _total(self._least(place, widths) for place in kept) > room:
            last = max(kept, key=lambda place: self._columns[place].goes)
            if not self._columns[last].goes:
                break
            kept.remove(last)
        return kept

    def _least(self, place: int, widths: Sequence[int]) -> int:
        return min(widths[place], _NARROWEST_TEXT) if self._columns[place].wraps else widths[place]

    def _natural(self, place: int) -> int:
        cells = (row[place].cell_len for row in self._rows)
        return max(cell_len(self._columns[place].name), *cells, 0)

    def _filled(self, place: int) -> bool:
        return not self._rows or any(row[place].plain for row in self._rows)


def console_of(*, wide: bool = False) -> Console:
    """A console for standard output: as wide as the terminal; unbounded on a pipe, or with `wide`."""
    width = None if sys.stdout.isatty() and not wide else UNBOUNDED
    return _Console(width=width, highlight=False, emoji=False)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave a closed pipe to the caller; rich would exit with code 1."""
        raise BrokenPipeError


def is_bounded(console: Console) -> bool:
    """Whether content must be shortened to fit."""
    return console.width < UNBOUNDED


def folded(text: str) -> str:
    """`text`, on a terminal with its lines wrapped between words."""
    if not sys.stdout.isatty():
        return text
    width, indent = shutil.get_terminal_size().columns, " " * _HANGING
    wrapped = (
        textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) for line in text.split("\n")
    )
    return "\n".join(line for lines in wrapped for line in lines or [""])


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """Each of `ids`, cut to the part that distinguishes it: its beginning, or else its end."""
    known = list(dict.fromkeys(ids))
    for length in range(_SHORTEST_ID, max(map(len, known), default=0)):
        for beginning in (True, False):
            short = {id_: _cut(id_, length, beginning=beginning) for id_ in known}
            if len(set(short.values())) == len(known):
                return short
    return {id_: id_ for id_ in known}


def after(time: dt.datetime | None, start: dt.datetime | None) -> str:
    """The time since `start`: `+34 ms`."""
    if time is None or start is None:
        return "–"
    ms = (time - start).total_seconds() * 1000
    return f"+{format_duration(ms)}" if ms >= 0 else f"-{format_duration(-ms)}"


def _cut(text: str, length: int, *, beginning: bool) -> str:
    if len(text) <= length + 1:
        return text
    return text[:length] + _ELLIPSIS if beginning else _ELLIPSIS + text[-length:]


def _total(widths: Iterable[int]) -> int:
    found = list(widths)
    return sum(found) + _GAP * (len(found) - 1)
