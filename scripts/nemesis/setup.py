"""Sets up a run (databases, broker, proxy, workers, a disk of their own) and tears it down afterwards."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.installed_server import NodeError
from scripts.nemesis.cluster import three_nodes
from scripts.nemesis.coordination import CHOREOGRAPHED, SAGAS
from scripts.nemesis.environment import Environment, sqlite_url
from scripts.nemesis.management import Management
from scripts.nemesis.nodes import USER, in_container, installed
from scripts.nemesis.private_postgres import NoPostgresError, private_postgres
from scripts.nemesis.proxy import Proxy
from scripts.nemesis.run import DEADLINE_SECONDS, Run
from scripts.nemesis.targets import Targets
from scripts.nemesis.violation import Violation
from scripts.probes import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from scripts.nemesis.cluster import Cluster
    from scripts.nemesis.nodes import Node
    from scripts.nemesis.private_postgres import PrivatePostgres
    from scripts.nemesis.report import Report
    from scripts.nemesis.run import Plan

DISK_MEGABYTES = 256


class SetupError(Exception):
    """No broker or database server could be started; the text is one sentence for a person."""


@dataclass(frozen=True)
class RunOptions:
    """What to run on. `disk`: the databases get a small disk of their own, which needs a mount namespace.

    `lane`: SAGA_LANE of the workers and of the monitor.
    """

    database: str
    broker: str
    workers: int | None
    mutant: str | None
    seed: int
    disk: bool
    coordination: str = CHOREOGRAPHED
    lane: str = "auto"

    @property
    def each(self) -> int:
        return self.workers or (2 if self.database == "postgresql" else 1)


def run_chaos(options: RunOptions, plan: Plan, folder: Path, tell: Callable[[str], None]) -> Report:
    """Set up, run, and leave nothing running. Raises SetupError when the run cannot begin.

    A failure after the beginning is a violation, so that the evidence is kept.
    """
    where = f"{options.database} and a {options.broker} broker, {options.coordination}, lane {options.lane}"
    tell(f"seed {plan.seed}: {len(plan.faults)} kinds of faults for {plan.minutes:g} minutes on {where}")
    (folder / "db").mkdir(parents=True)
    stack = contextlib.ExitStack()
    try:
        targets = _set_up(options, folder, stack)
    except (NodeError, NoPostgresError) as error:
        stack.close()
        raise SetupError(str(error)) from error
    except BaseException:
        stack.close()
        raise
    report = None
    try:
        report = Run(targets, plan, tell).run()
    finally:
        try:
            stack.close()
        except Exception as error:
            if report is None:
                raise
            text = f"not everything was cleaned up: {type(error).__name__}: {error}"
            report.violations.append(Violation("run", text))
    return report


def _set_up(options: RunOptions, folder: Path, stack: contextlib.ExitStack) -> Targets:
    if options.disk:
        stack.enter_context(small_disk(folder))
    postgres = stack.enter_context(private_postgres()) if options.database == "postgresql" else None
    node, cluster = _broker(options, folder, stack)
    nodes = cluster.members if cluster else [node]
    proxy = Proxy(*(one.port("amqp") for one in nodes), seed=options.seed)
    stack.callback(proxy.close)
    environment = _environment(options, folder, node, proxy, postgres)
    stack.callback(environment.close)
    ballast = folder / "db" / "ballast" if options.disk else None
    return Targets(environment, node, proxy, random.Random(options.seed), postgres, ballast, cluster)


def _broker(options: RunOptions, folder: Path, stack: contextlib.ExitStack) -> tuple[Node, Cluster | None]:
    if options.broker == "cluster":
        cluster = stack.enter_context(three_nodes(folder / "broker"))
        return cluster.members[0], cluster
    kind = in_container() if options.broker == "container" else installed(folder / "broker")
    return stack.enter_context(kind), None


def _environment(
    options: RunOptions, folder: Path, node: Node, proxy: Proxy, postgres: PrivatePostgres | None
) -> Environment:
    credentials = f"{USER}:{node.password}"
    return Environment(
        folder,
        f"amqp://{credentials}@{HOST}:{node.port('amqp')}/",
        Management(f"http://{HOST}:{node.port('management')}", USER, node.password, "/"),
        database_for(postgres, folder, SAGAS[options.coordination].services),
        coordination=options.coordination,
        each=options.each,
        working_url=f"amqp://{credentials}@{HOST}:{proxy.port}/",
        program=("scripts.nemesis.mutants", options.mutant) if options.mutant else ("services",),
        settings={"SAGA_DEADLINE": str(DEADLINE_SECONDS), "SAGA_LANE": options.lane},
        secrets=[node.password, *([postgres.password] if postgres else [])],
    )


def database_for(postgres: PrivatePostgres | None, folder: Path, services: Sequence[str], prefix: str = "") -> str:
    """The URL of the services' databases, which are created on `postgres`, or files below `folder`."""
    if postgres is None:
        return sqlite_url(folder / "db")
    for service in services:
        postgres.create(prefix + service)
    return postgres.url(prefix + "{service}")


def namespace_allowed() -> bool:
    if shutil.which("unshare") is None:
        return False
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, timeout=10, check=False)
        return probe.returncode == 0
    return False


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a disk for the databases; its content at the end is copied beside it."""
    mount_point, options = folder / "db", f"size={DISK_MEGABYTES}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(mount_point)], check=True, timeout=10)
    try:
        yield
    finally:
        shutil.copytree(mount_point, folder / "db-at-the-end")
        subprocess.run(["umount", "--lazy", str(mount_point)], check=True, timeout=10)
