"""A chaos run on the command line: a private broker, databases, workers, faults by a seed, and a verdict."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.private_node import NodeError
from scripts.probes import HOST
from tests.chaos.arena import Arena, sqlite_url
from tests.chaos.fleet import ROOT
from tests.chaos.nemesis import FAULTS, faults_for
from tests.chaos.nodes import USER, in_container, installed
from tests.chaos.proxy import Proxy
from tests.chaos.run import DEADLINE_SECONDS, Plan, Report, Run, kinds_of_faults
from tests.chaos.stage import Stage
from tests.chaos.verdict_text import written
from tests.support.management import Management
from tests.support.postgres import NoPostgresError, private_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import PrivatePostgres

DISK_MEGABYTES = 256
# Set for the process that has a mount namespace of its own, in which the disk of the databases may be filled.
IN_NAMESPACE = "CHAOS_IN_NAMESPACE"


def parser() -> argparse.ArgumentParser:
    known = "\n".join(f"  {name:15}{what}" for name, what in kinds_of_faults().items())
    made = argparse.ArgumentParser(
        prog="scripts/chaos",
        description="Orders of every kind while things break, and a verdict on what became of them.",
        epilog=f"faults:\n{known}\n\nexit code: 0 all invariants hold, 1 not (the evidence is kept), 2 no broker",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--minutes", type=positive, default=3.0, help="how long things break (default: %(default)s)")
    made.add_argument("--seed", type=int, help="the same seed, the same schedule (default: drawn, and told)")
    made.add_argument(
        "--broker",
        choices=("private", "container"),
        default="private",
        help="the installed server, or the image of the container tests (default: %(default)s)",
    )
    made.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    made.add_argument("--faults", default="", metavar="a,b,c", help="only these (default: all that make sense)")
    made.add_argument("--rate", type=positive, default=12.0, help="orders a second (default: %(default)s)")
    made.add_argument("--workers", type=int, help="of each service (default: 1; 2 on postgresql)")
    made.add_argument("--mutant", metavar="NAME", help="run the workers with a guard removed: this must fail")
    made.add_argument("--keep", action="store_true", help="keep the evidence even when all is well")
    made.add_argument("--json", action="store_true", help="the report for a program; progress goes to stderr")
    return made


def positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("more than 0")
    return number


def main(arguments: list[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    # Asked to end, it ends as by Ctrl-C: what it started ends with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    names = [name for name in asked.faults.split(",") if name]
    if unknown := sorted(set(names) - set(FAULTS)):
        parser().error(f"unknown faults: {', '.join(unknown)}")
    asked.seed = random.randrange(10_000) if asked.seed is None else asked.seed
    disk = asked.database == "sqlite" and (not names or "disk_full" in names)
    if disk and not os.environ.get(IN_NAMESPACE) and namespace_allowed():
        os.environ[IN_NAMESPACE] = "1"
        command = ["unshare", "--mount", sys.executable, "-m", "tests.chaos", *(arguments or sys.argv[1:])]
        os.execvp("unshare", [*command, "--seed", str(asked.seed)])
    with_disk = disk and bool(os.environ.get(IN_NAMESPACE))
    chosen = [n for n in faults_for(asked.database, disk=with_disk) if not names or n in names]
    left_out = sorted(set(names or FAULTS) - set(chosen))
    folder = ROOT / "var" / "chaos" / f"{time.strftime('%Y%m%d-%H%M%S')}-{asked.seed}"
    try:
        report = conduct(asked, chosen, folder, with_disk=with_disk)
    except (NodeError, NoPostgresError) as error:
        shutil.rmtree(folder)
        say(str(error))
        return 2
    if left_out:
        report.notes.append(f"left out here: {', '.join(left_out)}")
    return conclude(asked, report, folder)


def conclude(asked: argparse.Namespace, report: Report, folder: Path) -> int:
    content = dataclasses.asdict(report) | {"seed": asked.seed, "invariants": report.verdicts}
    (folder / "report.json").write_text(json.dumps(content, indent=1, ensure_ascii=False))
    print(json.dumps(content, ensure_ascii=False) if asked.json else written(report, asked.seed))
    if report.violations or asked.keep:
        print(f"evidence: {folder.relative_to(ROOT)}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return 1 if report.violations else 0


def conduct(asked: argparse.Namespace, faults: list[str], folder: Path, *, with_disk: bool) -> Report:
    """Set the stage, run, and leave nothing running."""
    where = f"{asked.database} and a {asked.broker} broker"
    say(f"seed {asked.seed}: {len(faults)} kinds of faults for {asked.minutes:g} minutes on {where}")
    (folder / "db").mkdir(parents=True)
    each = asked.workers or (2 if asked.database == "postgresql" else 1)
    with contextlib.ExitStack() as stack:
        if with_disk:
            stack.enter_context(small_disk(folder))
        postgres = stack.enter_context(private_postgres()) if asked.database == "postgresql" else None
        node = stack.enter_context(in_container() if asked.broker == "container" else installed(folder / "broker"))
        proxy = Proxy(node.port("amqp"), asked.seed)
        stack.callback(proxy.close)
        credentials = f"{USER}:{node.password}"
        arena = Arena(
            folder,
            f"amqp://{credentials}@{HOST}:{node.port('amqp')}/",
            Management(f"http://{HOST}:{node.port('management')}", USER, node.password, "/"),
            database_for(postgres, folder),
            each=each,
            working_url=f"amqp://{credentials}@{HOST}:{proxy.port}/",
            program=("tests.chaos.mutant", asked.mutant) if asked.mutant else ("services",),
            settings={"SAGA_DEADLINE": str(DEADLINE_SECONDS)},
            secrets=[node.password, *([postgres.password] if postgres else [])],
        )
        stack.callback(arena.close)
        ballast = folder / "db" / "ballast" if with_disk else None
        stage = Stage(arena, node, proxy, random.Random(asked.seed), postgres, ballast)
        return Run(stage, Plan(asked.minutes, asked.seed, faults, asked.rate), say).go()


def database_for(postgres: PrivatePostgres | None, folder: Path) -> str:
    if postgres is None:
        return sqlite_url(folder / "db")
    for service in ("stock", "paiement", "commande", "notification"):
        postgres.create(service)
    return postgres.url("{service}")


def namespace_allowed() -> bool:
    if shutil.which("unshare") is None:
        return False
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, timeout=10, check=False)
        return probe.returncode == 0
    return False


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own for the databases; what is on it at the end is kept beside it."""
    place, options = folder / "db", f"size={DISK_MEGABYTES}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True, timeout=10)
    try:
        yield
    finally:
        shutil.copytree(place, folder / "db-at-the-end")
        subprocess.run(["umount", "--lazy", str(place)], check=True, timeout=10)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
