"""The command line of the order saga: `python -m services`."""

import gc
import sys
from collections.abc import Sequence

gc.disable()  # nothing that is imported becomes garbage; looking for it takes a third of the start
try:
    from choregraphie import UserError
    from choregraphie.cli.main import main as run_command_line
    from choregraphie.process.stdout_errors import prepare_standard_streams
    from choregraphie.resolution import load
except ModuleNotFoundError as missing:
    print(
        f"services: {missing.name} is not installed for this Python; './scripts/demo' makes a virtual environment,"
        " '. .venv/bin/activate' enters it",
        file=sys.stderr,
    )
    sys.exit(2)
gc.freeze()  # later collections do not look through it either
gc.enable()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code: 0 success, 1 negative result, 2 usage or configuration error."""
    try:
        application = load("services.application:APP", "services")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return run_command_line(application, arguments)


if __name__ == "__main__":
    prepare_standard_streams()
    sys.exit(main())
