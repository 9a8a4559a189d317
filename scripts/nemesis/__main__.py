"""A chaos run on the command line: a private broker, databases, workers, faults by a seed, and a verdict."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING

from scripts.cli_parser import Parser, number, whole
from scripts.nemesis.mutants import MUTANTS
from scripts.nemesis.nemesis import FAULTS, faults_for
from scripts.nemesis.report import Report, written
from scripts.nemesis.run import Plan, kinds_of_faults
from scripts.nemesis.setup import NoStageError, Wanted, conduct, namespace_allowed
from scripts.nemesis.workers import ROOT
from scripts.progress import phases

if TYPE_CHECKING:
    from pathlib import Path

# Set for the process that has a mount namespace of its own, in which the disk of the databases may be filled.
IN_NAMESPACE = "CHAOS_IN_NAMESPACE"
# Beside the faults: the start (25 s), the calm until every retry has run (70 s), the verdict and the end (20 s).
BESIDE_SECONDS = 115
# More would only wait for one another on the machines that this runs on.
MOST_WORKERS = 8


def parser() -> Parser:
    known = "\n".join(f"  {name:15}{what}" for name, what in kinds_of_faults().items())
    made = Parser(
        "scripts/chaos",
        "Orders of every kind while things break, and a verdict on what became of them.",
        f"faults:\n{known}\n\nexit code: 0 all invariants hold, 1 not (the evidence is kept), 2 no broker",
    )
    made.add_argument(
        "--minutes",
        type=positive,
        default=3.0,
        help="how long things break (default: %(default)s); start, calm and verdict take about 2 more",
    )
    made.add_argument("--seed", type=whole, help="the same seed, the same schedule (default: drawn, and told)")
    made.add_argument(
        "--broker",
        choices=("private", "container", "cluster"),
        default="private",
        help="the installed server, the image of the container tests, or three of the installed server as one "
        "(default: %(default)s)",
    )
    _add_what_runs(made)
    made.add_argument("--keep", action="store_true", help="keep the evidence even when all is well")
    made.add_argument("--json", action="store_true", help="the report for a program; progress goes to stderr")
    return made


def _add_what_runs(made: Parser) -> None:
    made.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    made.add_argument("--faults", default="", metavar="a,b,c", help="only these (default: all that make sense)")
    made.add_argument("--rate", type=positive, default=12.0, help="orders a second (default: %(default)s)")
    made.add_argument("--workers", type=number_of_workers, help="of each service (default: 1; 2 on postgresql)")
    made.add_argument(
        "--mutant",
        choices=sorted(MUTANTS),
        metavar="NAME",
        help="run the workers with a guard removed: this must fail",
    )


def positive(text: str) -> float:
    found = number(text)
    if not 0 < found < float("inf"):
        raise argparse.ArgumentTypeError("more than 0")
    return found


def number_of_workers(text: str) -> int:
    found = whole(text)
    if not 1 <= found <= MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"from 1 to {MOST_WORKERS}")
    return found


def main(arguments: list[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    # Asked to end, it ends as by Ctrl-C: what it started ends with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    names = [name for name in asked.faults.split(",") if name]
    check(asked, names)
    asked.seed = random.randrange(10_000) if asked.seed is None else asked.seed
    with_disk = _begin_with_a_disk(asked, names, arguments)
    chosen = [n for n in faults_for(asked.database, asked.broker, disk=with_disk) if not names or n in names]
    if not chosen:
        where = f"{asked.database} and a {asked.broker} broker"
        parser().error(f"not possible here with {where}: {', '.join(names)}")
    left_out = sorted(set(names or FAULTS) - set(chosen))
    folder = ROOT / "var" / "chaos" / f"{time.strftime('%Y%m%d-%H%M%S')}-{asked.seed}"
    wanted = Wanted(asked.database, asked.broker, asked.workers, asked.mutant, asked.seed, with_disk)
    try:
        with phases(
            f"chaos, seed {asked.seed} (faults, calm, verdict; less when the faults drawn are light)",
            asked.minutes * 60 + BESIDE_SECONDS,
        ) as told:
            told.begin("the broker, the workers and the monitor start")
            report = conduct(wanted, Plan(asked.minutes, asked.seed, chosen, asked.rate), folder, told.begin)
    except NoStageError as error:
        shutil.rmtree(folder)
        say(str(error))
        return 2
    if left_out:
        report.notes.append(f"left out here: {', '.join(left_out)}")
    return conclude(asked, report, folder)


def _begin_with_a_disk(asked: argparse.Namespace, names: list[str], arguments: list[str] | None) -> bool:
    """Whether a disk may be mounted and filled: the program begins anew in a mount namespace of its own for it."""
    disk = asked.database == "sqlite" and (not names or "disk_full" in names)
    if disk and not os.environ.get(IN_NAMESPACE) and namespace_allowed():
        os.environ[IN_NAMESPACE] = "1"
        command = ["unshare", "--mount", sys.executable, "-m", "scripts.nemesis", *(arguments or sys.argv[1:])]
        os.execvp("unshare", [*command, "--seed", str(asked.seed)])
    return disk and bool(os.environ.get(IN_NAMESPACE))


def check(asked: argparse.Namespace, names: list[str]) -> None:
    """Leave with one line when what is asked for does not exist."""
    if unknown := sorted(set(names) - set(FAULTS)):
        parser().error(f"unknown faults: {', '.join(unknown)}")
    if asked.database == "sqlite" and (asked.workers or 1) > 1:
        parser().error("a SQLite file has one worker: several need --database postgresql")


def conclude(asked: argparse.Namespace, report: Report, folder: Path) -> int:
    content = dataclasses.asdict(report) | {"seed": asked.seed, "invariants": report.verdicts}
    (folder / "report.json").write_text(json.dumps(content, indent=1, ensure_ascii=False))
    print(json.dumps(content, ensure_ascii=False) if asked.json else written(report, asked.seed))
    if report.violations or asked.keep:
        print(f"evidence: {folder.relative_to(ROOT)}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return 1 if report.violations else 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
