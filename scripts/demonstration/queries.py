"""Reads the final state from the monitor and the services."""

import contextlib
import datetime as dt
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from choregraphie import Settings
from choregraphie.saga.envelope import Instance
from saga_monitor.projection.aggregates import aggregates_of_all
from saga_monitor.projection.queries import Queries
from saga_monitor.reports.report import detail, whole
from scripts.demonstration.checks import FinalState, differences
from scripts.demonstration.processes import ROOT, DemoError
from scripts.demonstration.saga import application
from scripts.demonstration.scenarios import Scenario

# Stock records a sale after the order is created, and answers with no event: so the check may have to wait.
SETTLING_SECONDS = 60


def read_final_state(
    settings: Settings, environ: Mapping[str, str], scenarios: Sequence[Scenario]
) -> tuple[FinalState, list[str]]:
    """The final state and its differences from the expected one; read again until it has settled."""
    end = time.monotonic() + SETTLING_SECONDS
    while True:
        final_state = _read(settings, environ, scenarios)
        problems = differences(scenarios, final_state)
        if not problems or time.monotonic() > end:
            return final_state, problems
        time.sleep(0.5)


def _read(settings: Settings, environ: Mapping[str, str], scenarios: Sequence[Scenario]) -> FinalState:
    # Signals are handled in the main thread, and the pool waits for its threads: no process is forgotten.
    with ThreadPoolExecutor() as pool:
        inspected = pool.submit(_run, environ, "services", "inspect", "all", "--json")
        # The report reads the history to its end, so the figures and orders below are complete.
        reported = pool.submit(_run, environ, "saga_monitor", "report")
        services: dict[str, Any] = {}
        for state in json.loads(inspected.result()).values():
            services |= state
        shown = reported.result()
    sagas = application().saga_set
    with contextlib.closing(Queries(settings.monitor_database, settings.stuck_after, sagas)) as queries:
        now = dt.datetime.now(dt.UTC)
        orders = {scenario.commande_id: _order(queries, scenario.order, now) for scenario in scenarios}
        return FinalState(orders, whole(sagas, partial(aggregates_of_all, queries, now)), services, shown)


def _order(queries: Queries, order: Instance, now: dt.datetime) -> dict[str, Any]:
    """The content of `show --json` of an order, without starting a process for each."""
    summary = queries.instance(order, now)
    if summary is None:
        raise DemoError(f"the monitor does not know {order.key} any more")
    return detail(summary, queries.sagas, queries.events(order), queries.dead_letters(order))


def _run(environ: Mapping[str, str], *command: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, "-m", *command], cwd=ROOT, env=dict(environ), capture_output=True, text=True, check=False
    )
    # Exit code 1: the report may be stale. The comparison then fails, and the state is read again.
    if done.returncode not in {0, 1}:
        raise DemoError(f"python -m {' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
