"""`run` a worker, and ask whether one is `ready`."""

import argparse
import asyncio
import sys
import time
from typing import Any

from contracts.topology import inbox
from services.runtime import BrokerTrouble, Settings, configure_logs, connected, count, run_workers
from services.verbs.catalogue import add_names, chosen


def add(verbs: Any) -> None:
    run = verbs.add_parser("run", help="run a worker until SIGTERM; a second one leaves at once")
    add_names(run)
    run.set_defaults(do=_run)
    ready = verbs.add_parser("ready", help="exit with 0 when the service's inbox has a consumer")
    add_names(ready)
    ready.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="wait this long for it")
    ready.set_defaults(do=_ready)


def _run(options: argparse.Namespace, settings: Settings) -> int:
    configure_logs(settings)
    asyncio.run(run_workers(chosen(options), settings))
    return 0


def _ready(options: argparse.Namespace, settings: Settings) -> int:
    names = [service.name for service in chosen(options)]
    end = time.monotonic() + options.wait
    while missing := asyncio.run(_without_consumer(names, settings)):
        if time.monotonic() >= end:
            print(f"not ready: {', '.join(missing)}", file=sys.stderr)
            return 1
        time.sleep(0.2)
    return 0


async def _without_consumer(names: list[str], settings: Settings) -> list[str]:
    try:
        async with connected(settings, "asks who is ready") as connection:
            counts = await count(connection, [inbox(name) for name in names])
    except BrokerTrouble:
        return names
    return [name for name in names if inbox(name) not in counts or not counts[inbox(name)].consumers]
