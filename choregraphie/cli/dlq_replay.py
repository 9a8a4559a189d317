"""`dlq replay`: predicts what sending dead letters back does, and does it."""

import argparse
import asyncio
import json
import math
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from choregraphie.application import Application
from choregraphie.broker import open_dead_letters
from choregraphie.cli.dlq_session import (
    CONNECTION_NAME,
    add_because,
    add_services,
    add_since,
    as_json,
    predictors,
    services_of,
    treating,
)
from choregraphie.dead_letters.selection import Selection, letters_of
from choregraphie.dead_letters.treatment import Replayed
from choregraphie.errors import ChoregraphieError, UserError
from choregraphie.settings import Settings
from choregraphie.terminal.arguments import add_json
from choregraphie.terminal.formats import format_count
from choregraphie.terminal.tables import Column, Fitted, console_of

_ABOUT = """\
Send dead letters back to their services: the same bytes to the one inbox, with a header that says who did so.
Of each service, only letters that are there when the command comes to it are taken, and none that is held, unless
its id is given. Each is removed after the broker has confirmed its copy.

Before, each letter is judged from the databases of its service and of the decider: runs, done (no effect),
tombstoned, ended, set_aside_again, unknown. All but the first two are refused without --force.

exit code: 0 all of them were sent back, 1 some were refused or not found, 2 an error
"""
# How many letters a table shows.
_MOST_ROWS = 50


def add(actions: Any, application: Application) -> None:
    """Add the action to those of `dlq`."""
    replay = actions.add_parser(
        "replay",
        help="send letters back to their services, after a prediction",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    replay.add_argument("ids", nargs="*", metavar="ID", help="as `dlq list` shows it")
    replay.add_argument("--all", action="store_true", help="all that are not held")
    replay.add_argument("--reason", metavar="REASON", help="all of this reason, such as exhausted")
    replay.add_argument("--fingerprint", metavar="FINGERPRINT", help="all of this fault")
    add_since(replay)
    add_services(replay, application)
    replay.add_argument("--rate", type=_rate, metavar="N", help="at most N letters per second")
    replay.add_argument("--dry-run", action="store_true", help="only predict")
    replay.add_argument("--force", action="store_true", help="also those that are refused otherwise")
    add_because(replay, required=False)
    add_json(replay)
    replay.set_defaults(do=_replay)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number of letters per second, such as 20")
    return rate


@dataclass
class _Summary:
    """What happened to the selected letters. `kept`: their JSON, or at most some of them for a table."""

    sent: int = 0
    refused: int = 0
    effects: Counter[str] = field(default_factory=Counter)
    kept: list[Replayed] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    def add(self, batch: list[Replayed], *, keep_all: bool) -> None:
        self.sent += sum(1 for one in batch if one.sent)
        self.refused += sum(1 for one in batch if not one.sent)
        self.effects.update(one.prediction.effect.value for one in batch)
        self.ids |= {one.letter.id for one in batch}
        self.kept += batch if keep_all else batch[: _MOST_ROWS - len(self.kept)]


def _replay(options: argparse.Namespace, settings: Settings) -> int:
    selection = _selection(options)
    summary = _Summary()
    try:
        asyncio.run(_run(options, settings, selection, summary))
    except (ChoregraphieError, KeyboardInterrupt) as end:
        if not options.dry_run and (summary.sent or isinstance(end, KeyboardInterrupt)):
            interrupted = "the interruption; what was under way may have been sent too"
            ended = "this error" if isinstance(end, ChoregraphieError) else interrupted
            print(f"{format_count(summary.sent)} were sent back before {ended}", file=sys.stderr)
        raise
    missing = sorted(selection.ids - summary.ids)
    _show(options, summary)
    for id_ in missing:
        print(
            f"{options.application.program}: no dead letter {id_[:100]!r}; `dlq list` names all", file=sys.stderr
        )
    nothing = not summary.ids and not options.all
    if nothing and not missing:
        print(f"{options.application.program}: no dead letter matches; `dlq list` names all", file=sys.stderr)
    return 1 if missing or summary.refused or nothing else 0


def _selection(options: argparse.Namespace) -> Selection:
    """What the command line selects. Raises UserError unless it says so in one way."""
    by_property = bool(options.reason or options.fingerprint or options.since)
    if sum((bool(options.ids), options.all, by_property)) != 1:
        raise UserError("dlq replay: give ids, or --all, or one of --reason, --fingerprint and --since")
    return Selection(
        services_of(options),
        ids=frozenset(options.ids),
        reason=options.reason,
        fingerprint=options.fingerprint,
        since=options.since,
    )


async def _run(options: argparse.Namespace, settings: Settings, selection: Selection, summary: _Summary) -> None:
    predictor_of = predictors(options.application, settings)
    if options.dry_run:
        async for batch in _predicted(options, settings, selection):
            summary.add(batch, keep_all=options.json)
        return
    async with treating(options, settings) as treatment:
        async for batch in treatment.replay(selection, predictor_of, force=options.force, rate=options.rate):
            summary.add(batch, keep_all=options.json)


async def _predicted(
    options: argparse.Namespace, settings: Settings, selection: Selection
) -> AsyncIterator[list[Replayed]]:
    """What a replay would do. Nothing is published, and nothing removed."""
    predictor_of = predictors(options.application, settings)
    async with open_dead_letters(settings, f"{CONNECTION_NAME} reads dead letters") as queues:
        for service in selection.services:
            async for batch in letters_of(queues, service, options.application.saga_set):
                selected = [one for one in batch if selection.matches(one[1])]
                predictions = predictor_of(service).predict([delivery for delivery, _ in selected])
                yield [
                    Replayed(letter, prediction, options.force or not prediction.is_refused)
                    for (_, letter), prediction in zip(selected, predictions, strict=True)
                ]


def _show(options: argparse.Namespace, summary: _Summary) -> None:
    if options.json:
        sagas = options.application.saga_set
        letters = [
            as_json(one.letter, sagas)
            | {"effect": one.prediction.effect.value, "why": one.prediction.why, "sent": one.sent}
            for one in summary.kept
        ]
        shown = {"dry_run": options.dry_run, "sent": summary.sent, "refused": summary.refused}
        print(json.dumps(shown | {"effects": dict(summary.effects), "letters": letters}, ensure_ascii=False))
        return
    if summary.kept:
        console_of().print(_table(options, summary))
    done = "would be sent back" if options.dry_run else "sent back"
    counts = ", ".join(f"{format_count(number)} {effect}" for effect, number in summary.effects.most_common())
    hint = "; --force sends them too" if summary.refused else ""
    print(
        f"{format_count(summary.sent)} {done}, {format_count(summary.refused)} refused{hint} ({counts or 'none'})"
    )


def _table(options: argparse.Namespace, summary: _Summary) -> Fitted:
    noun = options.application.saga_set.noun[0]
    table = Fitted(
        Column("id"),
        Column("service"),
        Column(noun),
        Column("event", goes=1),
        Column("replay"),
        Column("why", wraps=True),
    )
    for one in summary.kept:
        letter = one.letter
        table.add_row(
            *(letter.id, letter.service, letter.key or "", letter.type or ""),
            *(f"{one.prediction.effect.value}{'' if one.sent else ', refused'}", one.prediction.why),
        )
    return table
