"""The command line's own manners: an error is one line, a table is whole on a pipe too."""

import argparse
import sys
from typing import Never

from rich.console import Console
from rich.table import Table

# On a pipe nobody's window bounds a table; it is no wider than what stands in it.
PIPE_WIDTH = 1000


class Parser(argparse.ArgumentParser):
    """One that says what is wrong in one line."""

    def error(self, message: str) -> Never:
        """Leave with exit code 2."""
        self.exit(2, f"services: {message} ({self.prog} --help explains)\n")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would leave with exit code 1; what this means is for `main` to say


def console() -> Console:
    return _Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False, emoji=False)


def whole(table: Table) -> Table:
    """The table with cells that go on in the next line rather than end in dots: an id cut short is of no use."""
    for column in table.columns:
        column.overflow = "fold"
    return table
