"""`python -m tests.chaos.mutant NAME run stock`: as `python -m services run stock`, with a guard removed."""

import sys

from services.__main__ import main
from tests.chaos.mutants import MUTANTS

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    MUTANTS[name](setattr)
    sys.exit(main(arguments))
