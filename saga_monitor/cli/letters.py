"""`letter`: shows one dead letter with its bytes, headers, reason and advice."""

import argparse
import json
import sys
from typing import Any

from choregraphie.saga.saga_set import SagaSet
from choregraphie.terminal.arguments import add_json
from saga_monitor.cli.context import CommandContext
from saga_monitor.projection.dead_letters import letter_at
from saga_monitor.text import dead_letters
from saga_monitor.text.dead_letters import dead_letter_view

_LAST_OFFSET = 2**63 - 1


def add(commands: Any, _: SagaSet) -> None:
    """Declare the verb `letter` and its arguments."""
    command = commands.add_parser(
        "letter",
        help="one dead letter: its bytes, its headers, the reason, what to do",
        description="One dead letter, by its offset in the stream, which `show` and `anomalies` print.",
    )
    command.add_argument("offset", metavar="OFFSET", type=_offset, help="its offset in the stream")
    add_json(command)
    command.set_defaults(run=_letter)


def _offset(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text[:20]) > _LAST_OFFSET:
        raise argparse.ArgumentTypeError("expected a whole number, such as 1207")
    return int(text)


def _letter(arguments: argparse.Namespace, context: CommandContext) -> int:
    with context.queries() as queries:
        letter = letter_at(queries, arguments.offset)
        instance = dead_letters.instance_of(queries, letter, context.now) if letter else None
    if letter is None:
        print(f"saga_monitor: no dead letter at offset {arguments.offset} of the history", file=sys.stderr)
        return 1
    if arguments.json:
        advice = dead_letters.advice(letter, instance, context.sagas, context.thresholds.command)
        about = {"why": dead_letters.why(letter), "do": advice}
        print(json.dumps(dead_letters.as_json(letter, context.sagas) | about, indent=2))
    else:
        context.console.print(
            dead_letter_view(letter, instance, context.sagas, context.application.command), soft_wrap=True
        )
    return 0
