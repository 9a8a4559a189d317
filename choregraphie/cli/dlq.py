"""`dlq`: dead letters. Lists them, shows one, and the audit of what was done; the other actions are beside it."""

import argparse
import asyncio
import base64
import codecs
import datetime as dt
import json
import sys
from typing import Any

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.text import Text

from choregraphie.application import Application
from choregraphie.broker import open_dead_letters
from choregraphie.cli import dlq_audit, dlq_replay, dlq_treat
from choregraphie.cli.dlq_session import (
    CONNECTION_NAME,
    add_services,
    add_since,
    as_json,
    predictors,
    services_of,
)
from choregraphie.dead_letters.effect import Prediction
from choregraphie.dead_letters.grouping import Group, group_as_json, groups
from choregraphie.dead_letters.letter import Letter
from choregraphie.dead_letters.selection import Selection, letters_of
from choregraphie.messaging import Delivery
from choregraphie.printable import printable
from choregraphie.settings import Settings
from choregraphie.terminal.arguments import add_json, add_wide
from choregraphie.terminal.formats import format_count
from choregraphie.terminal.tables import Column, Fitted, console_of

# How many bytes of a letter are shown as text, and in hexadecimal.
_TEXT_SHOWN, _BYTES_SHOWN = 4096, 512
_EXAMPLES = """\
examples:
  {command} dlq list                              what is set aside, by service, reason and fault
  {command} dlq show ID                           one letter: its bytes, its headers, what a replay would do
  {command} dlq replay --reason exhausted --dry-run
  {command} dlq replay ID                         send it back to its service
  {command} dlq hold ID --because "asked the bank"
  {command} dlq discard ID --because "a test of ours"

An id is derived from the letter: copies of one message in one queue have one id. docs/dead-letters.md explains.
"""


def add(verbs: Any, application: Application) -> None:
    dlq = verbs.add_parser(
        "dlq",
        help="dead letters: list, show, replay, edit, hold, discard",
        description="Dead letters: what is in the dead-letter queues, what a replay would do, and doing it.",
        epilog=_EXAMPLES.format(command=application.command),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = dlq.add_subparsers(required=True, metavar="ACTION")
    _add_list(actions, application)
    _add_show(actions, application)
    dlq_replay.add(actions, application)
    dlq_treat.add(actions, application)
    dlq_audit.add(actions, application)


def _add_list(actions: Any, application: Application) -> None:
    listing = actions.add_parser(
        "list",
        help="the dead letters by service, reason and fault; they stay where they are",
        description="The dead letters by service, reason and fault (details that differ only in values are one "
        "fault). They stay where they are. --json lists every letter as well.",
    )
    add_services(listing, application)
    listing.add_argument("--reason", metavar="REASON", help="only this reason, such as exhausted")
    listing.add_argument("--fingerprint", metavar="FINGERPRINT", help="only this fault")
    add_since(listing)
    add_json(listing)
    add_wide(listing)
    listing.set_defaults(do=_list)


def _add_show(actions: Any, application: Application) -> None:
    show = actions.add_parser(
        "show",
        help="one letter: its bytes, its headers, what a replay would do; exit code 1 when there is none",
        description="One letter: its bytes, its headers, and what a replay would do, as the databases of its "
        "service and of the decider tell. Exit code 1 when no queue has it.",
    )
    show.add_argument("id", metavar="ID", help="as `dlq list` shows it")
    add_services(show, application)
    show.add_argument("--raw", action="store_true", help="only its bytes, as they are")
    add_json(show)
    show.set_defaults(do=_show)


def _list(options: argparse.Namespace, settings: Settings) -> int:
    selection = Selection(
        services_of(options),
        reason=options.reason,
        fingerprint=options.fingerprint,
        since=options.since,
        held=True,
    )
    letters, reasons = asyncio.run(_matching(options.application, settings, selection))
    found = groups(letters)
    if options.reason is not None and options.reason not in reasons:
        there_are = f"; there are: {', '.join(sorted(reasons))}" if reasons else ""
        program = options.application.program
        print(
            f"{program}: no dead letter has the reason {printable(options.reason)!r}{there_are}", file=sys.stderr
        )
    if options.json:
        sagas = options.application.saga_set
        shown = {
            "groups": [group_as_json(one) for one in found],
            "letters": [as_json(one, sagas) for one in letters],
        }
        print(json.dumps(shown, ensure_ascii=False))
    else:
        console_of(wide=options.wide).print(_table(found, len(letters)))
    return 0


async def _matching(
    application: Application, settings: Settings, selection: Selection
) -> tuple[list[Letter], set[str]]:
    """The letters that are selected, and the reasons of all that are there."""
    found: list[Letter] = []
    reasons: set[str] = set()
    async with open_dead_letters(settings, f"{CONNECTION_NAME} reads dead letters") as queues:
        for service in selection.services:
            async for batch in letters_of(queues, service, application.saga_set):
                found += [letter for _, letter in batch if selection.matches(letter)]
                reasons |= {letter.reason for _, letter in batch}
    return found, reasons


def _table(found: list[Group], count: int) -> RenderableType:
    table = Fitted(
        Column("service"),
        Column("reason"),
        Column("letters", right=True),
        Column("held", goes=2, right=True),
        Column("last set aside", goes=3),
        Column("event", goes=1),
        Column("fault", goes=4),
        Column("why", wraps=True),
        Column("id"),
    )
    for group in found:
        example = group.example
        ids = group.ids[0] if group.count == 1 or len(group.ids) == 1 else f"{group.ids[0]} …"
        when, held = _clock(group.last), format_count(group.held) if group.held else ""
        table.add_row(
            *(example.service, example.reason, format_count(group.count), held, when),
            *(example.type or "", example.fingerprint, example.pattern, ids),
        )
    title = f"{format_count(count)} dead letter{'' if count == 1 else 's'}"
    return Lines(Text(title, style="bold"), *([table] if found else []))


def _clock(time: dt.datetime | None) -> str:
    return f"{time.astimezone(dt.UTC):%F %T}" if time else ""


def _show(options: argparse.Namespace, settings: Settings) -> int:
    found = asyncio.run(_first(options, settings))
    if found is None:
        print(f"{options.application.program}: no dead letter {printable(options.id)}", file=sys.stderr)
        return 1
    delivery, letter, copies = found
    if options.raw:
        sys.stdout.buffer.write(delivery.body)
        return 0
    (prediction,) = predictors(options.application, settings)(letter.service).predict([delivery])
    if options.json:
        shown = as_json(letter, options.application.saga_set) | {
            "copies": copies,
            "replay": {"effect": prediction.effect.value, "why": prediction.why},
            "headers": {printable(name): printable(str(value)) for name, value in delivery.headers.items()},
            "body": delivery.body.decode(errors="replace"),
            "body_base64": base64.b64encode(delivery.body).decode(),
        }
        print(json.dumps(shown, ensure_ascii=False))
    else:
        console_of().print(_view(delivery, letter, prediction, copies), soft_wrap=True)
    return 0


async def _first(options: argparse.Namespace, settings: Settings) -> tuple[Delivery, Letter, int] | None:
    """The letter with the id, and how many copies of it there are."""
    first: tuple[Delivery, Letter] | None = None
    copies = 0
    async with open_dead_letters(settings, f"{CONNECTION_NAME} reads dead letters") as queues:
        for service in services_of(options):
            async for batch in letters_of(queues, service, options.application.saga_set):
                mine = [one for one in batch if one[1].id == options.id]
                first = first or next(iter(mine), None)
                copies += len(mine)
    return (*first, copies) if first else None


def _view(delivery: Delivery, letter: Letter, prediction: Prediction, copies: int) -> RenderableType:
    about = {
        "service": letter.service,
        "reason": f"{letter.reason}: {letter.detail}" if letter.detail else letter.reason,
        "set aside": _clock(letter.at),
        "event": f"{letter.type or 'not readable'} {letter.event_id or ''} of {letter.source or '?'}",
        "instance": f"{letter.saga or '?'} {letter.key or '?'}",
        "copies": str(copies) if copies > 1 else "",
        "held": letter.held,
        "edited": f"{letter.edited}; its original: {letter.original}" if letter.edited else "",
        "replayed": letter.replayed,
        "a replay": f"{prediction.effect.value}: {prediction.why}",
        "in": f"{letter.service}.dlq, {format_count(letter.size)} bytes, routing key {letter.routing_key}",
    }
    lines = [Text(f"{name:10} {printable(value)}") for name, value in about.items() if value]
    headers = [
        Text(f"{printable(name)}: {printable(str(value))}") for name, value in sorted(delivery.headers.items())
    ]
    return Lines(
        Text(f"dead letter {letter.id}", style="bold"), *lines, Text(), *headers, Text(), *_body(delivery.body)
    )


def _body(body: bytes) -> list[Text]:
    """The beginning of the bytes: as text, or in hexadecimal when they are none; and how many are left out."""
    try:
        # What is cut off within a character is left for the rest.
        shown, read = codecs.utf_8_decode(body[:_TEXT_SHOWN], "strict", len(body) <= _TEXT_SHOWN)
        lines = shown.split("\n")
    except UnicodeDecodeError:
        read = min(len(body), _BYTES_SHOWN)
        lines = [f"in hexadecimal: {body[:read].hex(' ', 2)}"]
    if left := len(body) - read:
        lines.append(f"… and {format_count(left)} bytes more; --raw writes all of them")
    return [Text(printable(line)) for line in lines]
