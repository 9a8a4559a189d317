"""The output of the demonstration: progress lines, captions, and the monitor's console on the screen."""

import contextlib
import os
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from scripts.demonstration.processes import Processes

_MONITOR = "saga_monitor"
# Pauses on a terminal: before and after the console is shown, and after each caption.
LOOK_SECONDS = 2
READ_SECONDS = 1.3


class Display:
    """Prints progress lines with the seconds since the beginning.

    On a terminal the console owns the screen while it runs; lines are printed after it has ended. On a pipe the
    lines of both alternate.
    """

    def __init__(self, console: Console, caption_file: Path) -> None:
        self._caption_file = caption_file
        self._screen = console.is_terminal
        self._began = time.monotonic()
        self._console: contextlib.ExitStack | None = None
        self._held_back: list[str] = []

    def say(self, text: str) -> None:
        line = f"[{self.seconds():4.1f} s] {text}"
        if self._screen and self._console:
            self._held_back.append(line)
        else:
            print(line, flush=True)

    def explain(self, text: str) -> None:
        """Print a line and show it as the console's caption; on a terminal, leave time to read it."""
        self._caption(text)
        self.say(text)
        if self._screen:
            time.sleep(READ_SECONDS)

    def _caption(self, text: str) -> None:
        # Atomic: the console reads the file twice a second.
        fresh = self._caption_file.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self._caption_file)

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def open(self, processes: Processes) -> None:
        """Start the console."""
        if self._screen:
            self.say("The monitor's console opens now; its first line says what happens. q ends the demonstration")
            time.sleep(LOOK_SECONDS)
        self._console = contextlib.ExitStack()
        self._console.enter_context(restored_terminal())
        self._console.callback(processes.end, _MONITOR)
        processes.start_in_foreground(_MONITOR, _MONITOR, "--caption-file", str(self._caption_file))

    def pause(self) -> None:
        """Leave time to see the last change."""
        if self._screen:
            time.sleep(LOOK_SECONDS)

    def close(self) -> None:
        """End the console, if it runs, and print the lines that were held back."""
        if self._console is None:
            return
        self._console.close()
        self._console = None
        while self._held_back:
            print(self._held_back.pop(0), flush=True)


@contextlib.contextmanager
def restored_terminal() -> Iterator[None]:
    """Restores the terminal's settings, also after the program that used it was killed."""
    if not sys.stdout.isatty():
        yield
        return
    place = sys.stdout.fileno()
    before = termios.tcgetattr(place)
    try:
        yield
    finally:
        # The terminal may be gone.
        with contextlib.suppress(OSError, termios.error):
            # A process in the background would be stopped for changing the terminal.
            if os.tcgetpgrp(place) == os.getpgrp():
                termios.tcsetattr(place, termios.TCSADRAIN, before)
