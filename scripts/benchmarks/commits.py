"""The benchmark of the database thread: one service after another, from received bytes to those to publish.

Each measurement decodes groups of deliveries, commits them in the service's own database and builds the messages
to publish; there is no broker. A baseline is another checkout, measured by turns with this one. Times are the
processor time of the process; a PostgreSQL server's own is not in it, so the time by the clock is printed too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.cli_parser import positive
from scripts.nemesis.private_postgres import NoPostgresError, private_postgres
from scripts.progress import Phases, phases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ABOUT = __doc__
ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("stock", "paiement", "commande", "notification")
DATABASES = ("sqlite", "postgresql")
# What a delivery may cost here with the most orders stored, compared with the fewest. In all an order may cost 1.2
# times as much: what publishing and the broker cost does not grow.
MOST_GROWTH = 1.5
_LARGE_GROUP = 64
# Deliveries of a measurement, so that groups of any size are measured for about as long.
_DELIVERIES, _MOST_GROUPS = 1024, 64


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--services", type=_names(SERVICES), default=SERVICES, help="default: all four")
    parser.add_argument("--databases", type=_names(DATABASES), default=DATABASES, help="default: both")
    parser.add_argument("--groups", type=_numbers, default=(1, 16, 64, 256), help="deliveries in a transaction")
    parser.add_argument(
        "--stored", type=_numbers, default=(10_000,), help="orders stored before (default: 10000); 10000,1000000"
    )
    parser.add_argument("--rounds", type=positive, default=5, help="measurements of each (default: %(default)s)")
    parser.add_argument("--baseline", type=Path, metavar="FOLDER", help="another checkout, measured by turns")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _names(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        if unknown := sorted({*names} - {*known}):
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return names

    return read


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(positive(part) for part in text.split(","))


@dataclass(frozen=True)
class Measured:
    """What is measured: a checkout's code for one service, on one database with so many orders."""

    tree: str
    service: str
    database: str
    stored: int


@dataclass
class Series:
    """The measurements of one thing, for one size of group: µs a delivery of each part of the path."""

    measured: Measured
    group: int
    rounds: list[dict[str, dict[str, float]]] = field(default_factory=list)

    def medians(self, kind: str) -> dict[str, float]:
        """The median of each part, by `processor` or `wall`."""
        parts = self.rounds[0][kind]
        return {part: statistics.median(one[kind][part] for one in self.rounds) for part in parts}

    def totals(self, kind: str) -> list[float]:
        """The sum of the parts of each round."""
        return [sum(one[kind].values()) for one in self.rounds]


def run(arguments: argparse.Namespace) -> int:
    each = len(arguments.services) * len(arguments.databases) * len(arguments.stored)
    seconds = each * (1 + bool(arguments.baseline)) * (15 + arguments.rounds * len(arguments.groups) * 0.7)
    trees = {"now": ROOT} | ({"baseline": arguments.baseline.resolve()} if arguments.baseline else {})
    try:
        with (
            phases("bench commits", seconds) as progress,
            tempfile.TemporaryDirectory(prefix="commits-") as folder,
        ):
            Path(folder).chmod(0o755)  # PostgreSQL runs as another user
            found = list(measure(arguments, trees, Path(folder), progress))
    except NoPostgresError as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 2
    print(json.dumps(_as_json(found), indent=2) if arguments.json else text(found))
    failed = missed(found)
    for promise in failed:
        print(f"missed: {promise}", file=sys.stderr if arguments.json else sys.stdout)
    return 1 if failed else 0


def measure(
    arguments: argparse.Namespace, trees: dict[str, Path], folder: Path, progress: Phases
) -> Iterator[Series]:
    """Measure every service on every database; its checkouts and numbers of stored orders take turns."""
    for database in arguments.databases:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(private_postgres(folder, fsync="on")) if database != "sqlite" else None
            for service in arguments.services:
                progress.begin(f"{service} on {database}")
                wanted = [
                    Measured(tree, service, database, stored) for stored in arguments.stored for tree in trees
                ]
                with contextlib.ExitStack() as running:
                    children = {
                        one: running.enter_context(_child(one, trees[one.tree], folder, server)) for one in wanted
                    }
                    yield from _by_turns(children, arguments.groups, arguments.rounds)


def _by_turns(
    children: dict[Measured, subprocess.Popen[str]], groups: tuple[int, ...], rounds: int
) -> Iterator[Series]:
    for group in groups:
        found = {one: Series(one, group) for one in children}
        for number in range(rounds + 1):
            for one, child in children.items():
                answer = _ask(child, group)
                if number:  # the first only warms up
                    found[one].rounds.append(answer)
        yield from found.values()


@contextlib.contextmanager
def _child(one: Measured, tree: Path, folder: Path, server: Any) -> Iterator[subprocess.Popen[str]]:
    own = folder / f"{one.tree}-{one.service}-{one.database}-{one.stored}"
    own.mkdir()
    url = f"sqlite:///{own}/{{service}}.sqlite3"
    if server is not None:
        server.create(name := f"{one.tree}_{one.service}_{one.stored}")
        url = server.url(name)
    child = subprocess.Popen(  # noqa: S603 - our own
        [
            sys.executable,
            str(ROOT / "scripts/benchmarks/commit_path.py"),
            one.service,
            url,
            str(own),
            str(one.stored),
        ],
        env=os.environ | {"PYTHONPATH": str(tree)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        try:
            if _line(child) != "ready\n":
                raise SystemExit("scripts/bench: the measured process did not start")
            yield child
        finally:
            child.kill()


def _ask(child: subprocess.Popen[str], group: int) -> dict[str, dict[str, float]]:
    assert child.stdin is not None  # noqa: S101 - a pipe
    child.stdin.write(
        json.dumps({"group": group, "groups": max(4, min(_MOST_GROUPS, _DELIVERIES // group))}) + "\n"
    )
    child.stdin.flush()
    answer: dict[str, dict[str, float]] = json.loads(_line(child) or "null")
    if answer is None:
        raise SystemExit("scripts/bench: the measured process has ended")
    return answer


def _line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None  # noqa: S101 - a pipe
    return child.stdout.readline()


def ratios(found: list[Series], kind: str) -> Iterator[tuple[Series, str, list[float]]]:
    """Each series with what it is compared with, and the ratios of their rounds: the baseline, or fewer orders."""
    known = {(one.measured, one.group): one for one in found}
    fewest = min(one.measured.stored for one in found)
    for one in found:
        if one.measured.tree != "now":
            continue
        what = one.measured
        before = known.get((Measured("baseline", what.service, what.database, what.stored), one.group))
        if before:
            pairs = zip(before.totals(kind), one.totals(kind), strict=True)
            yield one, "times faster than the baseline", [then / now for then, now in pairs]
        fewer = known[Measured("now", what.service, what.database, fewest), one.group]
        if fewer is not one:
            pairs = zip(one.totals(kind), fewer.totals(kind), strict=True)
            yield one, f"times the cost with {fewest} orders", [many / few for many, few in pairs]


def missed(found: list[Series]) -> list[str]:
    """The promised figures that were not met: the cost of a delivery hardly depends on the orders stored."""
    return [
        f"{one.measured.service} on {one.measured.database}: {statistics.median(values):.2f} {what}"
        for one, what, values in ratios(found, "processor")
        if what.startswith("times the cost") and one.group >= _LARGE_GROUP
        if statistics.median(values) > MOST_GROWTH
    ]


def text(found: list[Series]) -> str:
    """The figures as a table, one line a series, and the ratios."""
    lines = [f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; µs a delivery"]
    for one in found:
        what, parts = one.measured, one.medians("processor")
        shown = " + ".join(f"{part} {parts[part]:.0f}" for part in parts)
        lines.append(
            f"{what.tree:8} {what.service:12} {what.database:10} {what.stored:>8} orders, groups of {one.group:<3}"
            f" {sum(parts.values()):6.0f} = {shown}; by the clock {sum(one.medians('wall').values()):.0f}"
        )
    for one, about, values in ratios(found, "processor"):
        what = one.measured
        spread = f"{min(values):.2f} to {max(values):.2f}"
        lines.append(
            f"{what.service:12} {what.database:10} {what.stored:>8} orders, groups of {one.group:<3}"
            f" {statistics.median(values):.2f} ({spread}) {about}"
        )
    return "\n".join(lines)


def _as_json(found: list[Series]) -> list[dict[str, Any]]:
    return [{**vars(one.measured), "group": one.group, "rounds": one.rounds} for one in found]
