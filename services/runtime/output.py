"""When nothing can be written to standard output any more: nobody reads it, or its disk is full."""

import os
import sys


def output_lost(program: str, error: OSError) -> int:
    """The exit code of `program`: 0 when whoever read it has seen enough, else 2 after one line that says why."""
    # What is left to write has nowhere to go, and the interpreter must not try.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return 0
    print(f"{program}: {error.filename or 'standard output'}: {error.strerror or error}", file=sys.stderr)
    return 2
