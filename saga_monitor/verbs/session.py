"""What every verb is given: the settings, the way to the broker, where to write, and the projection to ask."""

import argparse
import asyncio
import datetime as dt
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console, RenderableType

from saga_monitor.books.past import world_at
from saga_monitor.catching_up import catch_up
from saga_monitor.history import Opening
from saga_monitor.queries import Queries
from saga_monitor.reading.moments import EXAMPLES, moment_of
from saga_monitor.showing.printable import printable
from saga_monitor.store import Store
from services.runtime import Settings

CATCH_UP_SECONDS = 15.0


@dataclass(frozen=True)
class Session:
    """`at`: the earlier time that is asked about; `now` is that time then."""

    settings: Settings
    opening: Opening
    console: Console
    now: dt.datetime
    at: dt.datetime | None = None

    def read_up(self) -> None:
        """Read what there is to read, and say what the reader of the answer should know."""
        with closing(Store(self.settings.monitor_database)) as store:
            for notice in asyncio.run(catch_up(self.opening, store, CATCH_UP_SECONDS)):
                print(f"saga_monitor: {printable(notice)}", file=sys.stderr)

    @contextmanager
    def queries(self) -> Iterator[Queries]:
        """What is known now, or was at `at`. Raises DatabaseRefused."""
        self.read_up()
        with ExitStack() as stack:
            path = self.settings.monitor_database
            if self.at is not None:
                path = stack.enter_context(world_at(path, self.at))
            yield stack.enter_context(closing(Queries(path, self.settings.stuck_after)))

    def say(self, value: Any, view: RenderableType, *, for_program: bool) -> None:
        if for_program:
            print(json.dumps(value, indent=2))
        else:
            self.console.print(view)


def begin(
    arguments: argparse.Namespace, settings: Settings, opening: Opening, console: Console, now: dt.datetime
) -> Session:
    """Raises BadMoment when `--at` is no time."""
    text = getattr(arguments, "at", None)
    at = moment_of(text, now) if text else None
    return Session(settings, opening, console, at or now, at)


def add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="for a program")


def add_at(command: argparse.ArgumentParser) -> None:
    command.add_argument("--at", metavar="TIME", help=f"the state of the world at an earlier time: {EXAMPLES}")


def positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= 10_000_000:
        raise argparse.ArgumentTypeError("expected a whole number from 1 to 10000000")
    return int(text)
