"""A progress bar for many orders, on a terminal."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextlib.contextmanager
def progress(total: int) -> Iterator[Callable[[int], object]]:
    """What to call with how many more are done: a bar on a terminal when there are many, else nothing."""
    console = Console(stderr=True)
    if total == 1 or not console.is_terminal:
        yield int
        return
    columns = (TextColumn("orders"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # The ids go above the bar when they go to the same terminal, and to where they are sent otherwise.
    bar = Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty())
    with bar:
        task = bar.add_task("orders", total=total)
        yield lambda more: bar.advance(task, more)
