"""The command line of a chaos run: a private broker, databases, workers, faults drawn from a seed, a verdict."""

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
from scripts.nemesis.coordination import CHOREOGRAPHED, ORCHESTRATED
from scripts.nemesis.machine_mutants import ORCHESTRATOR_MUTANTS
from scripts.nemesis.mutants import ALL_MUTANTS
from scripts.nemesis.nemesis import FAULTS, faults_for
from scripts.nemesis.report import Report, report_text, wrapped
from scripts.nemesis.run import Plan, fault_descriptions
from scripts.nemesis.setup import RunOptions, SetupError, namespace_allowed, run_chaos
from scripts.nemesis.workers import ROOT
from scripts.progress import phases

if TYPE_CHECKING:
    from pathlib import Path

# Set in the process that runs in its own mount namespace, where the disk of the databases can be filled.
IN_NAMESPACE = "CHAOS_IN_NAMESPACE"
# Time beside the faults: start (25 s), waiting until every retry has run (70 s), checking and shutdown (20 s).
BESIDE_SECONDS = 115
# The machines that this runs on have two cores: more workers only wait for one another.
MOST_WORKERS = 8


def build_parser() -> Parser:
    known = "\n".join(f"  {name:17}{what}" for name, what in fault_descriptions().items())
    parser = Parser(
        "scripts/chaos",
        "Places orders of every kind while faults are injected, then checks what became of each order.",
        f"faults:\n{known}\n\n"
        "exit code: 0 every invariant holds, 1 one is violated (the evidence is kept), 2 usage error or no broker",
    )
    parser.add_argument(
        "--minutes",
        type=positive,
        default=3.0,
        help="duration of the faults (default: %(default)s); start, calm and checks take about 2 more",
    )
    parser.add_argument(
        "--seed", type=whole, help="the same seed gives the same faults (default: random, printed)"
    )
    parser.add_argument(
        "--broker",
        choices=("private", "container", "cluster"),
        default="private",
        help="private: the installed server; container: the image of the container tests; cluster: three nodes of "
        "the installed server (default: %(default)s)",
    )
    _add_run_options(parser)
    parser.add_argument("--keep", action="store_true", help="keep the evidence even when every invariant holds")
    parser.add_argument("--json", action="store_true", help="print the report as JSON; progress goes to stderr")
    return parser


def _add_run_options(parser: Parser) -> None:
    parser.add_argument(
        "--orchestration", action="store_true", help="the orchestrated saga: its orchestrator is one more worker"
    )
    parser.add_argument(
        "--lane",
        choices=("auto", "lean", "public"),
        default="auto",
        help="SAGA_LANE of workers and monitor (default: %(default)s)",
    )
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument(
        "--faults", default="", metavar="a,b,c", help="only these faults (default: all possible here)"
    )
    parser.add_argument("--rate", type=positive, default=12.0, help="orders per second (default: %(default)s)")
    parser.add_argument("--workers", type=number_of_workers, help="per service (default: 1; 2 on postgresql)")
    parser.add_argument(
        "--mutant",
        choices=sorted(ALL_MUTANTS),
        metavar="NAME",
        help="run the workers with one guard removed: the run must then fail",
    )


def positive(text: str) -> float:
    value = number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("more than 0")
    return value


def number_of_workers(text: str) -> int:
    value = whole(text)
    if not 1 <= value <= MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"from 1 to {MOST_WORKERS}")
    return value


def main(arguments: list[str] | None = None) -> int:
    options = build_parser().parse_args(arguments)
    # SIGTERM is handled like Ctrl-C, so that everything the run started is ended with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    requested = [name for name in options.faults.split(",") if name]
    check_options(options, requested)
    options.seed = random.randrange(10_000) if options.seed is None else options.seed
    has_disk = _enter_mount_namespace(options, requested, arguments)
    chosen = _possible_faults(options, requested, has_disk=has_disk)
    folder = ROOT / "var" / "chaos" / f"{time.strftime('%Y%m%d-%H%M%S')}-{options.seed}"
    targets = _run_options(options, has_disk=has_disk)
    plan = Plan(options.minutes, options.seed, chosen, options.rate)
    about = f"chaos, seed {options.seed} (faults, calm, checks; less when the faults are short)"
    try:
        with phases(about, options.minutes * 60 + BESIDE_SECONDS) as progress:
            progress.begin("starting the broker, the workers and the monitor")
            report = run_chaos(targets, plan, folder, progress.begin)
    except SetupError as error:
        shutil.rmtree(folder)
        print(error, file=sys.stderr, flush=True)
        return 2
    if left_out := sorted(set(requested or FAULTS) - set(chosen)):
        report.notes.append(f"faults left out: {', '.join(left_out)}")
    return report_result(options, report, folder)


def _run_options(options: argparse.Namespace, *, has_disk: bool) -> RunOptions:
    return RunOptions(
        database=options.database,
        broker=options.broker,
        workers=options.workers,
        mutant=options.mutant,
        seed=options.seed,
        disk=has_disk,
        coordination=kind_of(options),
        lane=options.lane,
    )


def _possible_faults(options: argparse.Namespace, requested: list[str], *, has_disk: bool) -> list[str]:
    """The requested faults (default: all) that are possible here; exit code 2 when none is."""
    possible = faults_for(options.database, options.broker, disk=has_disk)
    chosen = [name for name in possible if not requested or name in requested]
    if not chosen:
        where = f"{options.database} and a {options.broker} broker"
        build_parser().error(f"not possible here with {where}: {', '.join(requested)}")
    return chosen


def _enter_mount_namespace(options: argparse.Namespace, requested: list[str], arguments: list[str] | None) -> bool:
    """Whether a small disk can be mounted and filled. Restarts the program in its own mount namespace for it."""
    disk = options.database == "sqlite" and (not requested or "disk_full" in requested)
    if disk and not os.environ.get(IN_NAMESPACE) and namespace_allowed():
        os.environ[IN_NAMESPACE] = "1"
        command = ["unshare", "--mount", sys.executable, "-m", "scripts.nemesis", *(arguments or sys.argv[1:])]
        os.execvp("unshare", [*command, "--seed", str(options.seed)])
    return disk and bool(os.environ.get(IN_NAMESPACE))


def check_options(options: argparse.Namespace, requested: list[str]) -> None:
    """Reject faults that do not exist and impossible combinations, with one line and exit code 2."""
    if unknown := sorted(set(requested) - set(FAULTS)):
        build_parser().error(f"unknown faults: {', '.join(unknown)}")
    if options.database == "sqlite" and (options.workers or 1) > 1:
        build_parser().error("a SQLite file has one worker: several need --database postgresql")
    if options.mutant in ORCHESTRATOR_MUTANTS and not options.orchestration:
        build_parser().error(f"{options.mutant} is a mutant of the orchestrator: it needs --orchestration")


def kind_of(options: argparse.Namespace) -> str:
    return ORCHESTRATED if options.orchestration else CHOREOGRAPHED


def report_result(options: argparse.Namespace, report: Report, folder: Path) -> int:
    of_run = {"seed": options.seed, "kind": kind_of(options), "lane": options.lane, "invariants": report.verdicts}
    content = dataclasses.asdict(report) | of_run
    (folder / "report.json").write_text(json.dumps(content, indent=1, ensure_ascii=False))
    text = report_text(report, options.seed)
    if sys.stdout.isatty():
        text = wrapped(text, shutil.get_terminal_size().columns)
    print(json.dumps(content, ensure_ascii=False) if options.json else text)
    if report.violations or options.keep:
        print(f"evidence: {folder.relative_to(ROOT)}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return 1 if report.violations else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
