"""`topology`: compares the broker with the declarations, and applies them."""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import Progress

from choregraphie.application import Application
from choregraphie.broker import Deployed, connected, deploy, steps
from choregraphie.cli import topology_users
from choregraphie.deployment import Difference, compare, read_live, remedies_of
from choregraphie.logs import configure_logs
from choregraphie.saga.topology import HISTORY, Topology
from choregraphie.settings import Settings
from choregraphie.terminal.arguments import add_json
from choregraphie.terminal.formats import counted
from choregraphie.terminal.tables import folded

_ABOUT_CHECK = """\
Compare the broker with the declared topology: exchanges, queues and their arguments, bindings, policies that lose
messages, event types that reach nobody, queues without a leader, messages that are hidden in a queue, inboxes
without a worker. Each difference is one line with what to do. It needs SAGA_MANAGEMENT_URL, and changes nothing.
Exit code 0: nothing differs, 1: something does, 2: the broker could not be asked.
"""
_ABOUT_APPLY = """\
Declare every exchange, queue and binding, so that workers can run with SAGA_TOPOLOGY=passive and without any right
to configure. SAGA_AMQP_URL names the deployer. What exists already stays. When a queue or an exchange exists as
something else, nothing is made at all: the way to change it is printed, and the exit code is 1.
"""


def add(verbs: Any, application: Application) -> None:
    topology = verbs.add_parser(
        "topology",
        help="the broker's exchanges, queues, bindings and users: check, apply, export, users",
        description="The broker's exchanges, queues, bindings and users, as the choreography asks for them.",
    )
    actions = topology.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser(
        "check", help="what differs on the broker; exit code 0 or 1", description=_ABOUT_CHECK
    )
    check.add_argument(
        "--without-workers",
        action="store_true",
        help="an inbox without a worker is no difference: before the start",
    )
    add_json(check)
    check.set_defaults(do=_check)
    apply = actions.add_parser("apply", help="declare all of it, as the deployer", description=_ABOUT_APPLY)
    add_json(apply)
    apply.set_defaults(do=_apply)
    topology_users.add(actions)


def _check(options: argparse.Namespace, settings: Settings) -> int:
    application: Application = options.application
    configure_logs(settings)  # what is logged meanwhile belongs on standard error
    wanted = application.topology(settings)
    live = asyncio.run(read_live(settings, wanted))
    remedies = remedies_of(application.command, settings)
    found = compare(application.saga_set, wanted, live, remedies, workers=not options.without_workers)
    if options.json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False))
    else:
        _print(found, wanted)
    return 1 if found else 0


def _print(found: list[Difference], wanted: Topology) -> None:
    for one in found:
        print(folded(str(one)))
    if not found:
        kinds = {"exchange": wanted.exchanges, "queue": wanted.queues, "binding": wanted.bindings}
        print(f"nothing differs: {', '.join(counted(len(all_of), noun) for noun, all_of in kinds.items())}")


def _apply(options: argparse.Namespace, settings: Settings) -> int:
    application: Application = options.application
    configure_logs(settings)
    wanted = application.topology(settings)
    with Progress(disable=not sys.stderr.isatty(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("topology", total=steps(wanted))
        deployed = asyncio.run(_deploy(settings, wanted, lambda: progress.advance(task)))
    if options.json:
        print(json.dumps(asdict(deployed), ensure_ascii=False))
    remedies = remedies_of(application.command, settings)
    exchanges = {exchange.name for exchange in wanted.exchanges}
    for name, text in deployed.refused.items():
        remedy = remedies.exchange_migration(name) if name in exchanges else remedies.queue_migration(name)
        print(
            folded(f"{application.program}: {name} exists as something else ({text}); {remedy}"), file=sys.stderr
        )
    if deployed.other_bounds:
        remedy = remedies.queue_migration(HISTORY)
        print(folded(f"{application.program}: {HISTORY} keeps its bounds; {remedy}"), file=sys.stderr)
    if not options.json and not deployed.refused:
        total = len(wanted.exchanges) + len(wanted.queues)
        made = len(deployed.made)
        print(f"{made} made, {total - made} were there; {counted(len(wanted.bindings), 'binding')} bound")
    return 1 if deployed.refused else 0


async def _deploy(settings: Settings, wanted: Topology, on_step: Any) -> Deployed:
    async with connected(settings, "applies the topology") as connection:
        return await deploy(connection, wanted, on_step)
