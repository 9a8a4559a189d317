"""`python -m scripts.nemesis.mutant NAME run stock`: as `python -m services run stock`, with a guard removed."""

import sys

from scripts.nemesis.mutants import MUTANTS
from services.__main__ import main

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    MUTANTS[name](setattr)
    sys.exit(main(arguments))
