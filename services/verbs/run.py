"""`run` a worker, and ask whether one is `ready`."""

import argparse
import asyncio
import json
import sys
import time
from typing import Any

from contracts.topology import inbox
from services.runtime import BrokerTrouble, Settings, configure_logs, connected, count, run_workers
from services.verbs.catalogue import add_names, chosen, with_databases


def add(verbs: Any) -> None:
    run = verbs.add_parser(
        "run",
        help="run a worker until SIGTERM; a second one leaves at once",
        description="Run a worker of each service named, all in this process. Logs go to standard error. SIGTERM "
        "(or Ctrl-C) lets it finish what it has in hand, in SAGA_DRAIN seconds at most; a second one leaves at "
        "once.",
    )
    add_names(run)
    run.set_defaults(do=_run)
    ready = verbs.add_parser(
        "ready",
        help="exit with 0 when the service's inbox has a consumer",
        description="Exit code 0 when the inbox of every service named has a consumer; "
        "1 when one has none, or the broker is away.",
    )
    add_names(ready)
    ready.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="wait this long for it")
    ready.add_argument("--json", action="store_true", help="for programs")
    ready.set_defaults(do=_ready)


def _run(options: argparse.Namespace, settings: Settings) -> int:
    services = with_databases(options, settings)
    configure_logs(settings)
    try:
        asyncio.run(run_workers(services, settings))
    except OSError as error:
        # A worker writes nothing on standard output: this is a fault of ours, and not of whoever reads us.
        raise RuntimeError("the worker broke") from error
    return 0


def _ready(options: argparse.Namespace, settings: Settings) -> int:
    names = [service.name for service in chosen(options)]
    end = time.monotonic() + options.wait
    while True:
        missing, why = asyncio.run(_without_consumer(names, settings))
        if not missing or time.monotonic() >= end:
            break
        time.sleep(0.2)
    if options.json:
        print(json.dumps({"ready": [name for name in names if name not in missing], "missing": missing}))
    if missing:
        print(f"services: not ready: {', '.join(missing)} ({why})", file=sys.stderr)
    return 1 if missing else 0


async def _without_consumer(names: list[str], settings: Settings) -> tuple[list[str], str]:
    """Those that nobody hears for, and why."""
    try:
        async with connected(settings, "asks who is ready") as connection:
            counts = await count(connection, [inbox(name) for name in names])
    except BrokerTrouble as trouble:
        return names, f"the broker is away: {trouble}"
    missing = [name for name in names if inbox(name) not in counts or not counts[inbox(name)].consumers]
    return missing, "no worker hears the inbox"
