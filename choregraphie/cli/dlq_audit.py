"""`dlq audit`: who did what about dead letters and unanswered steps, from the audit stream."""

import argparse
import asyncio
import base64
import datetime as dt
import json
import sys
from typing import Any

from choregraphie.application import Application
from choregraphie.broker import open_history
from choregraphie.cli.dlq_session import add_since
from choregraphie.dead_letters.audit import read_record
from choregraphie.errors import UserError
from choregraphie.printable import printable
from choregraphie.saga.rfc3339 import read_time, utc
from choregraphie.saga.topology import AUDIT
from choregraphie.settings import Settings
from choregraphie.terminal.arguments import add_json, add_wide
from choregraphie.terminal.tables import Column, Fitted, console_of

# The bytes of a message fill a screen; `--original` writes them.
_BYTES = ("body_base64", "headers")
# Of a record without a time that can be read.
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def add(actions: Any, _: Application) -> None:
    """Add the action to those of `dlq`."""
    audit = actions.add_parser(
        "audit",
        help="who did what, when and why",
        description="Who replayed, held, edited or discarded a dead letter, or settled a step: when and why, the "
        "oldest first. Nothing in it can be changed; the oldest records go when it has 2 GB.",
    )
    audit.add_argument("--letter", metavar="ID", help="only this letter")
    add_since(audit, "done")
    audit.add_argument(
        "--original", action="store_true", help="with --letter: the bytes of a letter that was discarded or edited"
    )
    add_json(audit)
    add_wide(audit)
    audit.set_defaults(do=_audit)


def _audit(options: argparse.Namespace, settings: Settings) -> int:
    if options.original and not options.letter:
        raise UserError("dlq audit: --original goes with --letter")
    records = [one for one in asyncio.run(_records(settings)) if _is_wanted(one, options)]
    if options.original:
        return _write_original(options, records)
    if options.json:
        print(json.dumps([_without_bytes(one) for one in records], ensure_ascii=False))
    else:
        console_of(wide=options.wide).print(_table(records))
    return 0


async def _records(settings: Settings) -> list[dict[str, Any]]:
    """Every record up to the last one of this moment."""
    found: list[dict[str, Any]] = []
    async with open_history(settings, AUDIT) as stream:
        last = await stream.last()
        if last is None:
            return []
        async for batch in stream.entries("first"):
            found += [one for entry in batch if (one := read_record(entry.body)) is not None]
            if batch and batch[-1].offset >= last.offset:
                break
    return found


def _is_wanted(record: dict[str, Any], options: argparse.Namespace) -> bool:
    of_letter = options.letter is None or record.get("letter") == options.letter
    return of_letter and (options.since is None or _time(record) >= options.since)


def _time(record: dict[str, Any]) -> dt.datetime:
    try:
        return utc(read_time(str(record.get("at")))) or _EPOCH
    except ValueError:
        return _EPOCH


def _without_bytes(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in _BYTES}


def _write_original(options: argparse.Namespace, records: list[dict[str, Any]]) -> int:
    kept = [(body, record) for record in records if (body := _body(record)) is not None]
    if not kept:
        print(
            f"{options.application.program}: the audit keeps no bytes of {options.letter[:100]!r}", file=sys.stderr
        )
        return 1
    body, record = kept[0]
    size = record.get("size")
    sys.stdout.buffer.write(body)
    if isinstance(size, int) and size > len(body):
        print(f"{options.application.program}: the audit keeps {len(body)} of {size} bytes", file=sys.stderr)
        return 1
    return 0


def _body(record: dict[str, Any]) -> bytes | None:
    """The bytes that a record keeps; None when it keeps none, or they cannot be read."""
    try:
        return base64.b64decode(str(record["body_base64"]), validate=True)
    except (KeyError, ValueError):
        return None


def _table(records: list[dict[str, Any]]) -> Fitted:
    table = Fitted(
        Column("at"),
        Column("by"),
        Column("did"),
        Column("letter", goes=1),
        Column("service"),
        Column("key"),
        Column("event", goes=2),
        Column("because", wraps=True),
    )
    for record in records:
        shown = (_shown(record.get(name)) for name in ("by", "act", "letter", "service", "key", "type", "because"))
        table.add_row(f"{_time(record):%F %T}", *shown)
    return table


def _shown(value: object) -> str:
    return "" if value is None else printable(str(value))
