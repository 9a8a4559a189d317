"""The argument parser of the scripts. Standard library only: it runs before the virtual environment exists."""

import argparse
import math
from collections.abc import Callable
from typing import Never, TypeVar

N = TypeVar("N", int, float)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, and which accepts no abbreviated option."""

    def __init__(self, prog: str, description: str | None, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> Never:
        """Print the error and leave with exit code 2."""
        self.exit(2, f"{self.prog}: {message} (--help explains)\n")


def whole(text: str) -> int:
    """Parse a whole number. Rejects 1_0, which Python reads as ten."""
    return _read(int, text, "whole number")


def positive(text: str) -> int:
    """Parse a whole number of at least 1."""
    found = whole(text)
    if found < 1:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is less than 1")
    return found


def number(text: str) -> float:
    return _read(float, text, "number")


def above_zero(text: str) -> float:
    """Parse a finite number above 0."""
    found = number(text)
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not above 0, or not finite")
    return found


def _read(kind: Callable[[str], N], text: str, name: str) -> N:
    try:
        return kind(text.replace("_", "?"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a {name}") from None
