"""How the scripts read their command lines: a mistake is one line. Standard library only."""

import argparse
from typing import Never


class Parser(argparse.ArgumentParser):
    """One that says what is wrong in one line, and takes no option for another."""

    def __init__(self, prog: str, description: str | None, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> Never:
        """Leave with exit code 2."""
        self.exit(2, f"{self.prog}: {message} (--help explains)\n")
