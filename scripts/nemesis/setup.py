"""Sets the stage of a run (databases, broker, proxy, workers, on a disk of their own) and clears it afterwards."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.installed_server import NodeError
from scripts.nemesis.cluster import three_nodes
from scripts.nemesis.environment import Arena, sqlite_url
from scripts.nemesis.management import Management
from scripts.nemesis.nodes import USER, in_container, installed
from scripts.nemesis.private_postgres import NoPostgresError, private_postgres
from scripts.nemesis.proxy import Proxy
from scripts.nemesis.run import DEADLINE_SECONDS, Run
from scripts.nemesis.targets import Stage
from scripts.nemesis.violation import Violation
from scripts.probes import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scripts.nemesis.cluster import Cluster
    from scripts.nemesis.nodes import Node
    from scripts.nemesis.private_postgres import PrivatePostgres
    from scripts.nemesis.report import Report
    from scripts.nemesis.run import Plan

DISK_MEGABYTES = 256


class NoStageError(Exception):
    """There is no broker or no database server to begin with; the text is one sentence for a person."""


@dataclass(frozen=True)
class Wanted:
    """`disk`: the databases get a small disk of their own, for which a mount namespace is needed."""

    database: str
    broker: str
    workers: int | None
    mutant: str | None
    seed: int
    disk: bool

    @property
    def each(self) -> int:
        return self.workers or (2 if self.database == "postgresql" else 1)


def conduct(wanted: Wanted, plan: Plan, folder: Path, tell: Callable[[str], None]) -> Report:
    """Set the stage, run, and leave nothing running. Raises NoStageError when it cannot begin.

    What fails once it has begun is a violation: only a run that never was leaves no evidence.
    """
    where = f"{wanted.database} and a {wanted.broker} broker"
    tell(f"seed {plan.seed}: {len(plan.faults)} kinds of faults for {plan.minutes:g} minutes on {where}")
    (folder / "db").mkdir(parents=True)
    stack = contextlib.ExitStack()
    try:
        stage = _set(wanted, folder, stack)
    except (NodeError, NoPostgresError) as error:
        stack.close()
        raise NoStageError(str(error)) from error
    except BaseException:
        stack.close()
        raise
    report = None
    try:
        report = Run(stage, plan, tell).go()
    finally:
        try:
            stack.close()
        except Exception as error:
            if report is None:
                raise
            text = f"not everything was cleared away: {type(error).__name__}: {error}"
            report.violations.append(Violation("run", text))
    return report


def _set(wanted: Wanted, folder: Path, stack: contextlib.ExitStack) -> Stage:
    if wanted.disk:
        stack.enter_context(small_disk(folder))
    postgres = stack.enter_context(private_postgres()) if wanted.database == "postgresql" else None
    node, cluster = _broker(wanted, folder, stack)
    nodes = cluster.members if cluster else [node]
    proxy = Proxy(*(one.port("amqp") for one in nodes), seed=wanted.seed)
    stack.callback(proxy.close)
    arena = _arena(wanted, folder, node, proxy, postgres)
    stack.callback(arena.close)
    ballast = folder / "db" / "ballast" if wanted.disk else None
    return Stage(arena, node, proxy, random.Random(wanted.seed), postgres, ballast, cluster)


def _broker(wanted: Wanted, folder: Path, stack: contextlib.ExitStack) -> tuple[Node, Cluster | None]:
    if wanted.broker == "cluster":
        cluster = stack.enter_context(three_nodes(folder / "broker"))
        return cluster.members[0], cluster
    kind = in_container() if wanted.broker == "container" else installed(folder / "broker")
    return stack.enter_context(kind), None


def _arena(wanted: Wanted, folder: Path, node: Node, proxy: Proxy, postgres: PrivatePostgres | None) -> Arena:
    credentials = f"{USER}:{node.password}"
    return Arena(
        folder,
        f"amqp://{credentials}@{HOST}:{node.port('amqp')}/",
        Management(f"http://{HOST}:{node.port('management')}", USER, node.password, "/"),
        database_for(postgres, folder),
        each=wanted.each,
        working_url=f"amqp://{credentials}@{HOST}:{proxy.port}/",
        program=("scripts.nemesis.mutants", wanted.mutant) if wanted.mutant else ("services",),
        settings={"SAGA_DEADLINE": str(DEADLINE_SECONDS)},
        secrets=[node.password, *([postgres.password] if postgres else [])],
    )


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
