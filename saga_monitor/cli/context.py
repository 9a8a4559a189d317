"""What every command gets: settings, access to the stream, a console, and the projection."""

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

from choregraphie import Settings
from choregraphie.application import Application
from choregraphie.printable import printable
from choregraphie.saga.saga_set import SagaSet
from choregraphie.signing import verifier_for
from choregraphie.terminal.arguments import TIME_EXAMPLES, moment_of
from choregraphie.terminal.tables import is_bounded
from saga_monitor.analysis.anomaly import Thresholds
from saga_monitor.diagnosis.wording import span
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.search import LONGEST_SEARCH
from saga_monitor.projection.snapshot import projection_at
from saga_monitor.projection.store import Store
from saga_monitor.stream.catch_up import catch_up
from saga_monitor.stream.follower import OpenHistory
from saga_monitor.text.freshness import Freshness

CATCH_UP_SECONDS = 15.0


@dataclass
class CommandContext:
    """One run of a verb, about the sagas of `application`.

    `at`: the earlier time asked about, which is `now` as well. `freshness`: None until `read_history`.
    `history_begins_at`: the number of the stream's oldest entry. `gaps`: how often entries were lost unread.
    """

    application: Application
    settings: Settings
    open_history: OpenHistory
    console: Console
    now: dt.datetime
    at: dt.datetime | None = None
    freshness: Freshness | None = None
    history_begins_at: int | None = None
    gaps: int = 0

    @property
    def sagas(self) -> SagaSet:
        """The sagas of the application."""
        return self.application.saga_set

    @property
    def thresholds(self) -> Thresholds:
        """The limits that decide what is wrong."""
        return Thresholds.of(self.settings, self.application.command)

    def read_history(self) -> Freshness:
        """Read the stream to its end, and print the notices that concern the answer."""
        asked = dt.datetime.now(dt.UTC)
        with closing(Store(self.settings.monitor_database, self.sagas, verifier_for(self.settings))) as store:
            notices = asyncio.run(catch_up(self.open_history, store, CATCH_UP_SECONDS))
            position, self.gaps = store.position(), store.gaps()
        wanted = min(asked, self.at or asked)
        fresh = position.caught_up_at is not None and position.caught_up_at >= wanted
        self.freshness = Freshness(position.as_of, fresh)
        self.history_begins_at = None if position.first is None else position.first.offset + position.shift
        if not fresh:
            notices[-1:] = ["; ".join([*notices[-1:], _age(position.as_of, asked)])]
        for notice in notices:
            print(f"saga_monitor: {printable(notice)}", file=sys.stderr)
        return self.freshness

    @contextmanager
    def queries(self) -> Iterator[Queries]:
        """Queries of the present state, or of the state at `at`. Raises DatabaseRefused."""
        self.read_history()
        with ExitStack() as stack:
            path = self.settings.monitor_database
            if self.at is not None:
                path = stack.enter_context(projection_at(path, self.at, self.sagas))
            yield stack.enter_context(closing(Queries(path, self.settings.stuck_after, self.sagas)))

    def exit_code(self, code: int) -> int:
        """`code`; but 1 in place of 0 for an answer that may be old."""
        return code or int(self.freshness is not None and not self.freshness.fresh)

    @property
    def freshness_fields(self) -> dict[str, Any]:
        """The freshness of an answer, as JSON."""
        return self.freshness.as_json() if self.freshness else {}

    @property
    def full(self) -> bool:
        """Whether output is unshortened: on a pipe, or with --wide."""
        return not is_bounded(self.console)

    def output(self, value: Any, view: RenderableType, *, for_program: bool) -> None:
        """Print `value` as JSON for a program, each object with its freshness; else `view`."""
        if for_program:
            stamped = (
                [row | self.freshness_fields for row in value]
                if isinstance(value, list)
                else value | self.freshness_fields
            )
            print(json.dumps(stamped, indent=2))
        else:
            self.console.print(view)


def _age(as_of: dt.datetime | None, now: dt.datetime) -> str:
    if as_of is None:
        return "nothing has been read yet: what follows is not known"
    return f"what follows was true at {as_of:%Y-%m-%d %H:%M:%S} UTC, {span(now - as_of)} ago"


def command_context(
    arguments: argparse.Namespace,
    application: Application,
    settings: Settings,
    open_history: OpenHistory,
    console: Console,
    now: dt.datetime,
) -> CommandContext:
    """The context of one run. Raises BadMoment when `--at` is no time."""
    text = getattr(arguments, "at", None)
    at = moment_of(text, now) if text is not None else None
    return CommandContext(application, settings, open_history, console, at or now, at)


def add_at(command: argparse.ArgumentParser) -> None:
    """Declare --at."""
    command.add_argument(
        "--at", metavar="TIME", help=f"the state of the world at an earlier time: {TIME_EXAMPLES}"
    )


def add_saga(command: argparse.ArgumentParser, sagas: SagaSet) -> None:
    """Declare --saga. It is accepted always, and offered where there is a choice."""
    names = list(sagas.by_name)
    offered = f"only of this saga: {', '.join(names)}" if sagas.several else argparse.SUPPRESS
    command.add_argument("--saga", choices=names, metavar="NAME", help=offered)


def positive_number(text: str) -> int:
    """The argument as a number. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= 10_000_000:
        raise argparse.ArgumentTypeError("expected a whole number from 1 to 10000000")
    return int(text)


def search_text(text: str) -> str:
    """The argument as a text to search for. Raises ArgumentTypeError."""
    found = text.strip()
    if not 0 < len(found) <= LONGEST_SEARCH:
        raise argparse.ArgumentTypeError(f"expected a text of 1 to {LONGEST_SEARCH} characters")
    return found
