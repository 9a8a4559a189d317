"""Progress on standard error: the phases of a long command, or a bar for many orders."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text


class Phases:
    """Prints each phase on stderr with the seconds since the start."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self._console, self._progress = console, progress
        self._began = time.monotonic()

    def begin(self, phase: str) -> None:
        """Print that this phase begins."""
        self.say(f"[{time.monotonic() - self._began:5.0f} s] {phase}")
        for task in self._progress.task_ids:
            self._progress.update(task, description=phase)

    def say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


@contextlib.contextmanager
def phases(about: str, seconds: float) -> Iterator[Phases]:
    """Print the estimated duration, then the current phase until the block ends."""
    console = Console(stderr=True, highlight=False)
    estimate = duration(seconds)
    console.print(Text(f"{about}: about {estimate} in all on an idle machine."), soft_wrap=True)
    # The times come first and keep their width: a narrow terminal cuts the phase, which is printed above as well.
    columns = (
        SpinnerColumn(),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
        TextColumn(f"of about {estimate}", markup=False, table_column=Column(no_wrap=True)),
        TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
    )
    with Progress(
        *columns, console=console, transient=True, expand=True, disable=not console.is_terminal
    ) as progress:
        progress.add_task("starts", total=None)
        yield Phases(console, progress)


def duration(seconds: float) -> str:
    """A duration for a person: 40 s, 2 min 20 s."""
    whole = max(10, round(seconds / 10) * 10)
    minutes, rest = divmod(whole, 60)
    return " ".join([*([f"{minutes} min"] if minutes else []), *([f"{rest} s"] if rest else [])])


@contextlib.contextmanager
def progress(total: int) -> Iterator[Callable[[int], object]]:
    """Yields a function to call with the number of further orders done. It moves a bar if on a terminal."""
    console = Console(stderr=True)
    if total == 1 or not console.is_terminal:
        yield int
        return
    columns = (TextColumn("orders"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # On a terminal the ids are printed above the bar.
    bar = Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty())
    with bar:
        task = bar.add_task("orders", total=total)
        yield lambda more: bar.advance(task, more)
