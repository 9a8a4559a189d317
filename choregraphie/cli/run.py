"""`run` starts workers; `ready` tells whether they consume."""

import argparse
import asyncio
import gc
import json
import math
import sys
import time
from typing import Any

from choregraphie.application import Application
from choregraphie.broker import bindings_of, connected, count_queues, missing_bindings
from choregraphie.cli.selection import add_names, chosen, with_databases
from choregraphie.errors import BrokerUnavailable
from choregraphie.logs import configure_logs
from choregraphie.pipeline.supervisor import run_workers
from choregraphie.saga.topology import Topology, inbox
from choregraphie.settings import Settings
from choregraphie.terminal.arguments import add_json

# A worker looks for garbage when it has so many new objects. A group of deliveries makes thousands, which live
# until its commit, and Python's own 700 would look through them again and again.
COLLECT_EVERY = 10_000


def add(verbs: Any, application: Application) -> None:
    run = verbs.add_parser(
        "run",
        help="run a worker until SIGTERM; a second one leaves at once",
        description="Run a worker of each service named, all in this process. Logs go to standard error. SIGTERM "
        "(or Ctrl-C) lets it finish what it has in hand, in SAGA_DRAIN seconds at most; a second one leaves at "
        "once.",
    )
    add_names(run, application)
    run.set_defaults(do=_run)
    ready = verbs.add_parser(
        "ready",
        help="exit with 0 when the service's inbox has a consumer",
        description="Exit code 0 when the inbox of every service named has a consumer and, where "
        "SAGA_MANAGEMENT_URL is set, every binding that it depends on is there; "
        "1 when not, or the broker is away.",
    )
    add_names(ready, application)
    ready.add_argument("--wait", type=_seconds, default=0, metavar="SECONDS", help="wait this long for it")
    add_json(ready)
    ready.set_defaults(do=_ready)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number of seconds, such as 30")
    return found


def _run(options: argparse.Namespace, settings: Settings) -> int:
    services = with_databases(options, settings)
    configure_logs(settings)
    # What is imported and declared lives as long as the worker. Each collection that looked through it would be a
    # pause of tens of milliseconds.
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY)
    try:
        asyncio.run(run_workers(services, options.application.topology(settings), settings))
    except OSError as error:
        # A worker writes nothing on standard output, so this is a fault of ours, not of a reader that went away.
        raise RuntimeError("the worker broke") from error
    return 0


def _ready(options: argparse.Namespace, settings: Settings) -> int:
    names = [service.name for service in chosen(options)]
    end = time.monotonic() + options.wait
    while True:
        not_ready = asyncio.run(_not_ready(names, options.application.topology(settings), settings))
        if not not_ready or time.monotonic() >= end:
            break
        time.sleep(0.2)
    if options.json:
        ready = [name for name in names if name not in not_ready]
        missing = [name for name in names if name in not_ready]
        print(json.dumps({"ready": ready, "missing": missing, "why": not_ready}, ensure_ascii=False))
    by_reason: dict[str, list[str]] = {}
    for name, why in not_ready.items():
        by_reason.setdefault(why, []).append(name)
    for why, services_of_reason in by_reason.items():
        print(
            f"{options.application.program}: not ready: {', '.join(services_of_reason)} ({why})", file=sys.stderr
        )
    return 1 if not_ready else 0


async def _not_ready(names: list[str], wanted: Topology, settings: Settings) -> dict[str, str]:
    """The services that do not receive what they must, each with the reason."""
    try:
        async with connected(settings, "asks who is ready") as connection:
            counts = await count_queues(connection, [inbox(name) for name in names])
    except BrokerUnavailable as error:
        return dict.fromkeys(names, f"the broker is away: {error}")
    without_consumer = [name for name in names if inbox(name) not in counts or not counts[inbox(name)].consumers]
    return await _unbound(names, wanted, settings) | dict.fromkeys(without_consumer, "no worker hears the inbox")


async def _unbound(names: list[str], wanted: Topology, settings: Settings) -> dict[str, str]:
    """The services with missing bindings, where the management API can be asked."""
    try:
        missing = await missing_bindings(settings, wanted)
    except BrokerUnavailable as error:
        return dict.fromkeys(names, f"its bindings are not known: {error}")
    found: dict[str, str] = {}
    for name in names:
        own = [binding for binding in bindings_of(name, wanted) if binding in missing]
        if own:
            shown = [f"{one.exchange} to {one.queue} by {one.key}" for one in own]
            found[name] = f"bindings are missing: {', '.join(shown)}"
    return found
