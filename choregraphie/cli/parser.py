"""The command line's own manners: an error is one line."""

import argparse
from typing import Never


class Parser(argparse.ArgumentParser):
    """One that says what is wrong in one line."""

    def error(self, message: str) -> Never:
        """Leave with exit code 2."""
        self.exit(2, f"services: {message} ({self.prog} --help explains)\n")


def add_wide(command: argparse.ArgumentParser) -> None:
    command.add_argument("--wide", action="store_true", help="every column, and ids and times in full")
