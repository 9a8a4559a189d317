"""The options that choose the contenders, the same for the benchmarks of the whole system."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import TYPE_CHECKING

from scripts.benchmarks.system import contenders
from scripts.benchmarks.system.contenders import NAMES, OURS, Contender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def add(parser: argparse.ArgumentParser, default: list[str]) -> None:
    """Add the options. `default`: the contenders when none are named."""
    add_engines(parser)
    shown = f"of {', '.join(NAMES)}; or all (default: {','.join(default)})"
    parser.add_argument("--contenders", type=_names, default=default, metavar="NAME,…", help=shown)
    parser.add_argument(
        "--mail",
        action="store_true",
        help="ours writes its e-mails to a maildir (peers have no mail); by default nobody sends any",
    )


def add_engines(parser: argparse.ArgumentParser) -> None:
    """Add the options of a benchmark without peers."""
    parser.set_defaults(contenders=[OURS], mail=False)
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="NAME=KEY=VALUE,…",
        help="ours with other settings as a further contender, such as lean=SAGA_LANE=lean; may be repeated",
    )
    parser.add_argument(
        "--baseline",
        action="append",
        default=[],
        metavar="[NAME=]FOLDER",
        help="another tree of this project as a further contender; may be repeated",
    )
    parser.add_argument("--quick", action="store_true", help="shorter and fewer rounds, in less than five minutes")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _names(text: str) -> list[str]:
    names = [*NAMES] if text == "all" else text.split(",")
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(f"no contender {unknown[0]!r}: {', '.join(NAMES)}")
    return names


def chosen(arguments: argparse.Namespace) -> list[Contender]:
    """The contenders that the options name: engines first. Leaves with exit code 2 on a mistake."""
    mail = arguments.mail
    named = contenders.chosen(arguments.contenders, mail)
    found = [one for one in named if one.engine]
    found += [_read(partial(contenders.variant, text, mail)) for text in arguments.variant]
    found += [_read(partial(contenders.baseline, text, mail)) for text in arguments.baseline]
    found += [one for one in named if not one.engine]
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise SystemExit(mistake(f"two contenders are called {twice}; give one another name"))
    return found


def in_turns(contenders: Sequence[Contender], turns: int) -> Iterator[tuple[int, Contender]]:
    """Every contender once a turn. Each turn begins with another one, so that none always follows the same."""
    for turn in range(turns):
        first = turn % len(contenders)
        for contender in (*contenders[first:], *contenders[:first]):
            yield turn, contender


def _read(read: Callable[[], Contender]) -> Contender:
    try:
        return read()
    except ValueError as error:
        raise SystemExit(mistake(str(error))) from None


def mistake(what: str) -> int:
    """Print one line, and return the exit code 2."""
    print(f"scripts/bench: {what}", file=sys.stderr)
    return 2
