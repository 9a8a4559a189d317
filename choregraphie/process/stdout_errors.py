"""Handles standard streams that are closed at start, broken, or on a full disk."""

import io
import os
import sys
from pathlib import Path
from typing import TextIO


class PatientStream(io.TextIOBase):
    """Writes to `stream` as long as that works. What nobody can take any more must cost nothing else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._give_up()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._give_up()

    def isatty(self) -> bool:
        return not self._stream.closed and self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def _give_up(self) -> None:
        """What is left in the stream's buffer goes nowhere, or the interpreter would complain of it at its end."""
        if not self._stream.closed:
            _lead_nowhere(self._stream)


def open_streams() -> None:
    """Give the program those of its standard streams that it was started without; they lead nowhere.

    To be called before any file is opened: that would otherwise get the number of a standard stream, and with it
    whatever is written there. What is written to standard error is lost when it cannot be written.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Of the free numbers an opened file gets the lowest: that of the stream itself.
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - open as long as the program
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    sys.stderr = PatientStream(sys.stderr)


def output_lost(program: str, error: OSError) -> int:
    """The exit code of `program`: 0 when whoever read it has seen enough, else 2 after one line that says why."""
    # What is left to write has nowhere to go, and the interpreter must not try.
    _lead_nowhere(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return 0
    print(f"{program}: {error.filename or 'standard output'}: {error.strerror or error}", file=sys.stderr)
    return 2


def _lead_nowhere(stream: TextIO) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
