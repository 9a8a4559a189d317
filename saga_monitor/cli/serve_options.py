"""`serve`: its options. `serve` does the work; it needs the extra `web`, and only this verb imports it."""

import argparse
from typing import Any

from choregraphie import Settings
from choregraphie.saga.saga_set import SagaSet


def add(commands: Any, _: SagaSet) -> None:
    """Declare the verb `serve` and its arguments."""
    command = commands.add_parser("serve", help="the web page, the JSON API and /metrics")
    command.add_argument(
        "--host", metavar="ADDRESS", type=_not_empty, help="the address to listen at; a public one needs a token"
    )
    command.add_argument("--port", type=_port, metavar="N", help="the port, 8787 by default; 0 takes a free one")
    command.add_argument(
        "--token", type=_not_empty, help="the token to ask for; better in SAGA_MONITOR_TOKEN_FILE"
    )


def with_arguments(settings: Settings, arguments: argparse.Namespace) -> Settings:
    """The settings, with the arguments of the command line in place of theirs."""
    arguments_given = {f"monitor_{name}": getattr(arguments, name) for name in ("host", "port", "token")}
    given = {name: value for name, value in arguments_given.items() if value is not None}
    return settings.model_copy(update=given).without_files(given)


def _not_empty(text: str) -> str:
    # As the variable of a shell that is not set: without a token the page would be open to everybody.
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= 65_535):
        raise argparse.ArgumentTypeError("expected a port, from 0 to 65535")
    return int(text)
