"""Keeps a program running whose standard streams are closed, broken, on a full disk or of a small encoding."""

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import TextIO


class TolerantStream(io.TextIOBase):
    """Writes to `stream` as long as that works; afterwards output is dropped and raises nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._drop_output()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._drop_output()

    def isatty(self) -> bool:
        return not self._stream.closed and self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override] # TextIOBase declares an attribute; this follows the stream
        return self._stream.encoding

    def _drop_output(self) -> None:
        """Redirect the stream to /dev/null: otherwise the interpreter reports its unwritten buffer at exit."""
        # A stream of the program that embeds us may have no descriptor, and this process none to spare.
        with contextlib.suppress(OSError, ValueError):
            _redirect_to_null(self._stream)


def prepare_standard_streams() -> None:
    """Open on /dev/null each standard stream that the program was started without.

    Call it before any file is opened: that file would get the descriptor of a standard stream, and whatever is
    written to the stream. From then on, output to standard error that cannot be written is dropped, and what the
    encoding of an output lacks is written as an escape, such as `\\u2026`.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # An opened file gets the lowest free descriptor, which is that of the stream.
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - it stays open until the program ends
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(errors="backslashreplace")
    sys.stderr = TolerantStream(sys.stderr)


def output_lost(program: str, error: OSError) -> int:
    """The exit code of `program` when its output fails: 0 for a closed pipe, otherwise 2 with a line on stderr."""
    # The interpreter must not try to write the rest of the buffer.
    _redirect_to_null(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return 0
    print(f"{program}: {error.filename or 'standard output'}: {error.strerror or error}", file=sys.stderr)
    return 2


def _redirect_to_null(stream: TextIO) -> None:
    descriptor = stream.fileno()
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, descriptor)
    finally:
        os.close(null)
