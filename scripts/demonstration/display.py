"""Where the demonstration is watched: the monitor's console, and what is told before, beside and after it."""

import contextlib
import os
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from scripts.demonstration.processes import Crew

_MONITOR = "saga_monitor"
# On a terminal: long enough to read what comes before the console, and to see the last change in it.
LOOK_SECONDS = 2
READ_SECONDS = 1.3


class Board:
    """Tells what happens, with the seconds since the beginning.

    On a terminal the console has the screen to itself: what is told meanwhile is told when it has ended.
    On a pipe its lines and these alternate.
    """

    def __init__(self, console: Console, caption_file: Path) -> None:
        self._caption_file = caption_file
        self._screen = console.is_terminal
        self._began = time.monotonic()
        self._watched: contextlib.ExitStack | None = None
        self._untold: list[str] = []

    def say(self, text: str) -> None:
        line = f"[{self.seconds():4.1f} s] {text}"
        if self._screen and self._watched:
            self._untold.append(line)
        else:
            print(line, flush=True)

    def explain(self, text: str) -> None:
        """Say what happens now, and on a terminal leave time to read it above the orders."""
        self._caption(text)
        self.say(text)
        if self._screen:
            time.sleep(READ_SECONDS)

    def _caption(self, text: str) -> None:
        # Whole or not at all: the console reads it twice a second.
        fresh = self._caption_file.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self._caption_file)

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def open(self, crew: Crew) -> None:
        """Start the console."""
        if self._screen:
            self.say("The monitor's console comes now; its first line says what happens. To end all of this: q")
            time.sleep(LOOK_SECONDS)
        self._watched = contextlib.ExitStack()
        self._watched.enter_context(terminal_given_back())
        self._watched.callback(crew.end, _MONITOR)
        crew.show(_MONITOR, _MONITOR, "--caption-file", str(self._caption_file))

    def look(self) -> None:
        """Leave time for the last change to be seen."""
        if self._screen:
            time.sleep(LOOK_SECONDS)

    def close(self) -> None:
        """End the console, if it was opened, and tell what happened meanwhile."""
        if self._watched is None:
            return
        self._watched.close()
        self._watched = None
        while self._untold:
            print(self._untold.pop(0), flush=True)


@contextlib.contextmanager
def terminal_given_back() -> Iterator[None]:
    """The terminal is as it was before, also after a program that was killed while it had it."""
    if not sys.stdout.isatty():
        yield
        return
    place = sys.stdout.fileno()
    before = termios.tcgetattr(place)
    try:
        yield
    finally:
        # A terminal that was hung up wants nothing back.
        with contextlib.suppress(OSError, termios.error):
            # Who is in the background would be stopped for it.
            if os.tcgetpgrp(place) == os.getpgrp():
                termios.tcsetattr(place, termios.TCSADRAIN, before)
