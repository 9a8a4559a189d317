"""The argument parser of the command lines: an error is one line and exit code 2."""

import argparse
from typing import Never


class Parser(argparse.ArgumentParser):
    """An ArgumentParser without the usage text in its errors."""

    def error(self, message: str) -> Never:
        """Print the error after the program's name and leave with exit code 2."""
        program = self.prog.removeprefix("python -m ").partition(" ")[0].removesuffix(".py")
        self.exit(2, f"{program}: {message} ({self.prog} --help explains)\n")


def add_wide(command: argparse.ArgumentParser) -> None:
    command.add_argument("--wide", action="store_true", help="every column, and ids and times in full")
