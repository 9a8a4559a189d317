"""Asks the monitor and the services what they know at the end."""

import contextlib
import datetime as dt
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from choregraphie import Settings
from saga_monitor.projection.aggregates import figures_of_all
from saga_monitor.projection.queries import Queries
from saga_monitor.reports.report import detail, of_figures
from scripts.demonstration.checks import Seen, mistakes
from scripts.demonstration.processes import ROOT, DemoError
from scripts.demonstration.scenarios import Kind

# An order is created before stock has noted that its goods are sold: that one is not answered by an event.
SETTLING_SECONDS = 10


def ask(settings: Settings, environ: Mapping[str, str], kinds: Sequence[Kind]) -> tuple[Seen, list[str]]:
    """What is known now, and what is wrong with it; asked again while the last things settle."""
    end = time.monotonic() + SETTLING_SECONDS
    while True:
        seen = _seen(settings, environ, kinds)
        wrong = mistakes(kinds, seen)
        if not wrong or time.monotonic() > end:
            return seen, wrong
        time.sleep(0.5)


def _seen(settings: Settings, environ: Mapping[str, str], kinds: Sequence[Kind]) -> Seen:
    # A signal reaches the main thread alone: an interruption forgets none of these, the pool waits for them.
    with ThreadPoolExecutor() as pool:
        inspected = pool.submit(_run, environ, "services", "inspect", "all", "--json")
        # It reads the history up to its end, for the figures and the orders too.
        reported = pool.submit(_run, environ, "saga_monitor", "report")
        services: dict[str, Any] = {}
        for state in json.loads(inspected.result()).values():
            services |= state
        shown = reported.result()
    with contextlib.closing(Queries(settings.monitor_database, settings.stuck_after)) as queries:
        now = dt.datetime.now(dt.UTC)
        orders = {kind.commande_id: _order(queries, kind.commande_id, now) for kind in kinds}
        return Seen(orders, of_figures(figures_of_all(queries, now)), services, shown)


def _order(queries: Queries, id_: str, now: dt.datetime) -> dict[str, Any]:
    """What `show --json` says of an order, without a process for each."""
    order = queries.order(id_, now)
    if order is None:
        raise DemoError(f"the monitor does not know {id_} any more")
    return detail(order, queries.events(id_), queries.dead_letters(id_))


def _run(environ: Mapping[str, str], *command: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, "-m", *command], cwd=ROOT, env=dict(environ), capture_output=True, text=True, check=False
    )
    # A report that may be old is asked for again by whoever finds it wrong.
    if done.returncode not in {0, 1}:
        raise DemoError(f"python -m {' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
