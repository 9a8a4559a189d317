"""The command line of the order saga: `python -m services`."""

import sys
from collections.abc import Sequence

try:
    from choregraphie.cli.main import main as run_command_line
    from choregraphie.process.stdout_errors import open_missing_streams
    from services.application import APP
except ModuleNotFoundError as missing:
    print(
        f"services: {missing.name} is not installed for this Python; './scripts/demo' makes a virtual environment,"
        " '. .venv/bin/activate' enters it",
        file=sys.stderr,
    )
    sys.exit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code: 0 success, 1 negative result, 2 usage or configuration error."""
    return run_command_line(APP, arguments)


if __name__ == "__main__":
    open_missing_streams()
    sys.exit(main())
