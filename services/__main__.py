"""The operator's door to the services: run workers, look at their state, ask whether they are ready."""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from contracts.topology import inbox
from services.commande import SERVICE as COMMANDE
from services.notification import SERVICE as NOTIFICATION
from services.paiement import SERVICE as PAIEMENT
from services.runtime import (
    BrokerTrouble,
    Service,
    Settings,
    UserError,
    configure_logs,
    connected,
    count,
    look_into,
    read_settings,
    run_workers,
)
from services.stock import SERVICE as STOCK

SERVICES = {service.name: service for service in (STOCK, PAIEMENT, COMMANDE, NOTIFICATION)}

_EXAMPLES = """\
examples:
  python -m services run stock            a worker of one service
  python -m services run all              all of them in one process
  python -m services inspect stock        what is on the shelves, held and sold
  python -m services ready stock --wait 30

Settings come from the environment (SAGA_AMQP_URL, SAGA_DATABASE_URL, …); see the README.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code: 0 well, 1 no, 2 a person must change something."""
    options = _parser().parse_args(arguments)
    try:
        settings = read_settings(os.environ)
        return int(options.do(options, settings))
    except UserError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services",
        description="Run and inspect the services of the saga.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    run = verbs.add_parser("run", help="run a worker until SIGTERM; a second one leaves at once")
    _names(run)
    run.set_defaults(do=_run)
    inspect = verbs.add_parser("inspect", help="show a service's business state, beside a running worker")
    _names(inspect)
    inspect.add_argument("--json", action="store_true", help="for programs")
    inspect.set_defaults(do=_inspect)
    ready = verbs.add_parser("ready", help="exit with 0 when the service's inbox has a consumer")
    _names(ready)
    ready.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="wait this long for it")
    ready.set_defaults(do=_ready)
    return parser


def _names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "services", nargs="+", choices=[*SERVICES, "all"], metavar="SERVICE", help=", ".join([*SERVICES, "all"])
    )


def _chosen(options: argparse.Namespace) -> list[Service]:
    return list(SERVICES.values()) if "all" in options.services else [SERVICES[n] for n in options.services]


def _run(options: argparse.Namespace, settings: Settings) -> int:
    configure_logs(settings)
    asyncio.run(run_workers(_chosen(options), settings))
    return 0


def _inspect(options: argparse.Namespace, settings: Settings) -> int:
    for service in _chosen(options):
        state = look_into(service, settings)
        if options.json:
            print(json.dumps(state, ensure_ascii=False))
        else:
            for title, content in state.items():
                Console().print(_table(f"{service.name}: {title}", content))
    return 0


def _table(title: str, content: dict[str, Any]) -> Table:
    """Rows of a table of tables; a flat one becomes a single row."""
    nested = all(isinstance(value, dict) for value in content.values())
    rows = content if nested else {"": content}
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    table = Table(title=title, title_justify="left")
    if nested:
        table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for key, row in rows.items():
        cells = [str(row.get(name, "")) for name in columns]
        table.add_row(*([key, *cells] if nested else cells), style=None)
    return table


def _ready(options: argparse.Namespace, settings: Settings) -> int:
    names = [service.name for service in _chosen(options)]
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


if __name__ == "__main__":
    sys.exit(main())
