"""`inspect`: shows the business state of a service beside a running worker."""

import argparse
import json
from typing import Any

from pydantic_core import from_json, to_json
from rich.console import Group, RenderableType
from rich.text import Text

from choregraphie.application import Application
from choregraphie.cli.selection import add_names, with_databases
from choregraphie.errors import UserError
from choregraphie.settings import Settings
from choregraphie.storage.database import business_state
from choregraphie.terminal.formats import format_amount, format_count
from choregraphie.terminal.tables import Column, Fitted, console_of


def add(verbs: Any, application: Application) -> None:
    inspect = verbs.add_parser(
        "inspect",
        help="show a service's business state, beside a running worker",
        description="The business state of a service, read beside a running worker, as its declaration shows it.",
    )
    add_names(inspect, application)
    inspect.add_argument(
        "--json",
        action="store_true",
        help="for programs; of several services, one document keyed by service. What JSON lacks is text: times in"
        " ISO 8601, amounts as they are, bytes in URL-safe base64, NaN",
    )
    inspect.set_defaults(do=_inspect)


def _inspect(options: argparse.Namespace, settings: Settings) -> int:
    states = {service.name: business_state(service, settings) for service in with_databases(options, settings)}
    if options.json:
        (first, *others) = states.values()
        print(_json(states if others else first))
        return 0
    for name, state in states.items():
        for title, content in state.items():
            console_of().print(_table(f"{name}: {title}", content))
    return 0


def _json(content: dict[str, Any]) -> str:
    """The content as JSON; what JSON lacks is text. Raises UserError for what has no text either."""
    try:
        written = to_json(content, inf_nan_mode="strings", bytes_mode="base64")
    except ValueError as error:
        raise UserError(f"inspect: what it shows cannot be written as JSON: {error}") from None
    return json.dumps(from_json(written), ensure_ascii=False)  # with the spaces of every other verb


def _table(title: str, content: dict[str, Any]) -> RenderableType:
    """The content as a table; flat content is a single row."""
    nested = all(isinstance(value, dict) for value in content.values())
    rows = content if nested else {"": content}
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    keys = [Column("")] if nested else []
    table = Fitted(*keys, *(Column(name, right=True) for name in columns))
    for key, row in rows.items():
        cells = [_cell(row.get(name, "")) for name in columns]
        table.add_row(*([key, *cells] if nested else cells))
    return Group(Text(title, style="italic"), table, Text())


def _cell(value: object) -> str:
    # In a service's state, counts are integers and amounts are floats.
    if isinstance(value, float):
        return format_amount(value)
    return format_count(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)
