"""The command line: `python -m voyage demo`, and the verbs of the engine (`run`, `inspect`, `choreography`, …)."""

import sys

from choregraphie.cli.main import main
from choregraphie.process.stdout_errors import prepare_standard_streams
from choregraphie.resolution import load
from voyage.demo import main as demonstrate

if __name__ == "__main__":
    prepare_standard_streams()
    sys.exit(demonstrate() if sys.argv[1:] == ["demo"] else main(load("voyage.application:APP", "voyage")))
