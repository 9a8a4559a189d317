"""`relay`: publishes what programs have decided in their own database, by `choregraphie.client.say`."""

import argparse
import asyncio
import contextlib
import json
import os
import signal
from typing import Any

import structlog

from choregraphie.application import Application
from choregraphie.client import Published, Relay
from choregraphie.errors import BadSetting, DatabaseRefused
from choregraphie.logs import configure_logs
from choregraphie.settings import Settings
from choregraphie.terminal.arguments import add_json
from choregraphie.terminal.formats import format_count

log = structlog.get_logger()


def add(verbs: Any, _: Application) -> None:
    relay = verbs.add_parser(
        "relay",
        help="publish the events that a program has decided in its own database",
        description="Publish the events that a program has decided in its own database, by "
        "choregraphie.client.say, until SIGTERM. Several relays may run; on PostgreSQL each event is published by "
        "one of them.",
    )
    relay.add_argument(
        "--database",
        metavar="URL",
        help="the program's database; default: SAGA_DATABASE_URL, with client for {service}. A password is better "
        "in the file of SAGA_DATABASE_URL_FILE",
    )
    relay.add_argument(
        "--once",
        action="store_true",
        help="publish what is pending and end: exit code 1 when the broker did not take everything",
    )
    add_json(relay)
    relay.set_defaults(do=_relay)


def _relay(options: argparse.Namespace, settings: Settings) -> int:
    if options.json and not options.once:
        raise BadSetting("--json goes with --once")
    configure_logs(settings)
    relay = _relay_of(options.database, settings)
    if options.once:
        return _show(asyncio.run(relay.publish_pending()), as_json=options.json)
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_until_signal(relay))
    return 0


def _relay_of(database: str | None, settings: Settings) -> Relay:
    if database is None:
        return Relay(settings.database_url, settings)
    try:
        return Relay(database, settings)
    except DatabaseRefused as refused:
        raise DatabaseRefused(str(refused).replace("SAGA_DATABASE_URL", "--database")) from None


def _show(done: Published, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(done._asdict()))
    else:
        print(f"{format_count(done.published)} published, {format_count(done.left)} left")
    return 1 if done.left else 0


async def _until_signal(relay: Relay) -> None:
    task = asyncio.ensure_future(relay.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _stop, task)
    await task


def _stop(task: "asyncio.Task[None]") -> None:
    if task.cancelling():
        log.warning("relay.forced_exit")
        os._exit(1)
    task.cancel()
