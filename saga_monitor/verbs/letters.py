"""`letter`: one dead letter, with its bytes, its headers, why it was set aside and what to do."""

import argparse
import json
import sys
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from saga_monitor.books.letters import Letter, Mentions, letter_at
from saga_monitor.queries import Order
from saga_monitor.report import rfc3339
from saga_monitor.showing import letters
from saga_monitor.showing.tables import safe
from saga_monitor.verbs.session import Session, add_json

_LAST_OFFSET = 2**63 - 1


def add(commands: Any) -> None:
    command = commands.add_parser(
        "letter",
        help="one dead letter: its bytes, its headers, why it was set aside, what to do",
        description="One dead letter, by its offset in the stream, which `show` and `anomalies --json` tell.",
    )
    command.add_argument("offset", metavar="OFFSET", type=_offset, help="its offset in the stream")
    add_json(command)
    command.set_defaults(run=_letter)


def _offset(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text[:20]) > _LAST_OFFSET:
        raise argparse.ArgumentTypeError("expected a whole number, such as 1207")
    return int(text)


def _letter(arguments: argparse.Namespace, session: Session) -> int:
    with session.queries() as queries:
        letter = letter_at(queries, arguments.offset)
        order = queries.order(letter.commande_id, session.now) if letter and letter.commande_id else None
    if letter is None:
        print(f"saga_monitor: no dead letter at offset {arguments.offset} of the history", file=sys.stderr)
        return 1
    if arguments.json:
        about = {"why": letters.why(letter), "do": letters.advice(letter, order)}
        print(json.dumps(letters.as_json(letter) | about, indent=2))
    else:
        session.console.print(letter_view(letter, order), soft_wrap=True)
    return 0


def letter_view(letter: Letter, order: Order | None) -> RenderableType:
    """All that is known of it, as lines."""
    state = f" ({order.state})" if order else " (no order began under this id)" if letter.commande_id else ""
    body = letters.body(letter)
    facts = (
        ("at", rfc3339(letter.at)),
        ("queue", f"{letter.service}.dlq"),
        ("event", letter.type or "unreadable"),
        ("order", f"{letter.commande_id or 'none can be read'}{state}"),
        *((("event id", letter.event_id),) if letter.event_id else ()),
    )
    lines = [safe(letters.why(letter), "bold red"), safe(letters.advice(letter, order)), Text()]
    lines += [Text(f"{name:<9} ", style="dim").append_text(safe(value)) for name, value in facts]
    lines += [Text(), *(_command(command) for command in letters.commands(letter, order)), Text()]
    lines += [Text(f"{name}: ", style="dim").append(value) for name, value in letters.headers(letter)]
    lines += [Text(body.about, style="dim"), *map(Text, body.lines)]
    return Group(*lines)


def _command(command: letters.Command) -> Text:
    return Text(command.line, style="cyan").append(f"  # {command.shows}", style="dim")


def mentions_view(key: str, found: Mentions) -> RenderableType:
    """What was heard of a key that has no order."""
    lines = [Text.assemble(safe(key, "bold"), "  no order began under this id")]
    for letter in found.letters:
        what = f"{letters.why(letter)} `python -m saga_monitor letter {letter.offset}` shows it."
        lines.append(safe(f"{rfc3339(letter.at)}  {what}"))
    lines += [
        safe(f"{rfc3339(u.time) or '–'}  {u.type} from {u.source}: not of this choreography")
        for u in found.unknown
    ]
    for one in found.refused:
        text = f"{one.type} from {one.source} came by {one.exchange}: nobody acts on it"
        lines.append(safe(f"{rfc3339(one.at)}  {text}"))
    return Group(*lines)
