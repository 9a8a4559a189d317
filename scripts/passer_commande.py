#!/usr/bin/env python3
"""Place an order, or many, or ask for one to be cancelled: what a customer says to the saga."""

import argparse
import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

try:
    from choregraphie import Settings, UserError, read_settings
    from choregraphie.logs import configure_logs
    from choregraphie.messaging import PublishOutcome
    from choregraphie.process.stdout_errors import open_streams
    from choregraphie.saga.envelope import Event
    from choregraphie.terminal.parser import Parser
    from contracts.client import CommandeAnnulationDemandee, CommandeInitiee
    from scripts.cli_parser import number, whole
    from scripts.order_input import (
        WrongOrderError,
        amount,
        annulation,
        commande,
        demanded,
        lines_of,
        new_commande_id,
        numbered,
        read_orders,
    )
    from scripts.progress import progress
    from scripts.publisher import BrokerAwayError, NobodyListensError, Spoken, say
except ModuleNotFoundError as missing:
    print(
        f"passer_commande: {missing.name} is not installed for this Python; './scripts/demo' makes a virtual"
        " environment, '. .venv/bin/activate' enters it",
        file=sys.stderr,
    )
    sys.exit(2)

_EXAMPLES = """\
examples:
  python scripts/passer_commande.py --client CLIENT-123 --produit PROD-456 --quantite 2 --montant 99.99
  CMD=$(python scripts/passer_commande.py)          an order, and its id
  python scripts/passer_commande.py --annuler $CMD  ask for it to be cancelled
  python scripts/passer_commande.py --count 1000 --rate 50
  python scripts/passer_commande.py --file orders.jsonl
                         one JSON object a line: client_id, produit_id, quantite, montant, commande_id or not

The ids of the orders go to standard output, one a line, as soon as the broker has them for good; with --json,
one object a line. The broker is the one that SAGA_AMQP_URL names.

A demand to cancel is published whether or not there is such an order, for it may overtake it. Without one it has
no effect, and is forgotten in the end.

exit codes: 0 said, 1 it reached nobody or not all of it was said, 2 something must be changed (said in one line)
"""
_ORDER: dict[str, Any] = {"client": "CLIENT-123", "produit": "PROD-456", "quantite": 2, "montant": "99.99"}
# Bad lines are named one by one up to here; beyond, their number says enough.
_MOST_COMPLAINTS = 20


@dataclass
class Sayings:
    """What is to be said: every event of one type, and how many they are."""

    cls: type[Event]
    events: Iterable[Event]
    total: int


@dataclass
class Outcome:
    said: int = 0
    failed: dict[PublishOutcome, list[str]] = field(default_factory=dict)

    def notes(self, spoken: Spoken) -> bool:
        """Whether it was said; counted either way."""
        if spoken.outcome is PublishOutcome.CONFIRMED:
            self.said += 1
        else:
            self.failed.setdefault(spoken.outcome, []).append(spoken.commande_id)
        return spoken.outcome is PublishOutcome.CONFIRMED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = read_settings(os.environ)
        configure_logs(settings)
        return asyncio.run(_say(settings, _sayings(options), options))
    except (WrongOrderError, BrokerAwayError, UserError) as error:
        complain(str(error))
        return 2
    except NobodyListensError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


def complain(text: str) -> None:
    print(f"passer_commande: {text}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="passer_commande.py",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    order = parser.add_argument_group("the order")
    order.add_argument("--client", metavar="ID", help=f"who orders ({_ORDER['client']})")
    order.add_argument("--produit", metavar="ID", help=f"what ({_ORDER['produit']})")
    order.add_argument("--quantite", type=whole, metavar="N", help=f"how many ({_ORDER['quantite']})")
    order.add_argument("--montant", metavar="M", help=f"for how much ({_ORDER['montant']})")
    order.add_argument("--commande", metavar="ID", help="the order's id (made anew; with --count, ID-1, ID-2, …)")
    many = parser.add_argument_group("many orders")
    many.add_argument("--count", type=whole, metavar="N", help="that many orders of the same")
    many.add_argument("--file", metavar="FILE", help="the orders of a file, - for standard input")
    many.add_argument("--skip-bad", action="store_true", help="with --file: say the good lines all the same")
    many.add_argument("--rate", type=number, metavar="R", help="at most R orders a second")
    other = parser.add_argument_group("instead of an order")
    other.add_argument("--annuler", metavar="CMD", help="ask for the order CMD to be cancelled")
    other.add_argument("--raison", metavar="TEXT", help="why (demande du client)")
    parser.add_argument("--json", action="store_true", help="for a program: one JSON object a line")
    return parser


def _sayings(options: argparse.Namespace) -> Sayings:
    """What the command line asks to say. Raises WrongOrderError."""
    if options.rate is not None and not 0 < options.rate <= 1_000_000:
        raise WrongOrderError("--rate is more than 0, and at most 1000000")
    given = {f"--{name}" for name in (*_ORDER, "commande", "count") if getattr(options, name) is not None}
    if options.annuler is not None:
        _alone("--annuler", given | ({"--file"} if options.file else set()))
        demand = annulation(options.annuler, "demande du client" if options.raison is None else options.raison)
        return Sayings(CommandeAnnulationDemandee, [demand], 1)
    if options.raison is not None:
        raise WrongOrderError("--raison goes with --annuler")
    if options.file is not None:
        _alone("--file", given)
        return _from_file(options.file, skip_bad=options.skip_bad)
    if options.skip_bad:
        raise WrongOrderError("--skip-bad goes with --file")
    return _from_options(options)


def _alone(option: str, given: set[str]) -> None:
    if given:
        raise WrongOrderError(f"{option} does not go with {', '.join(sorted(given))}")


def _from_options(options: argparse.Namespace) -> Sayings:
    count = 1 if options.count is None else options.count
    if not 1 <= count <= 10_000_000:
        raise WrongOrderError("--count is between 1 and 10000000")
    wanted = {name: usual if (v := getattr(options, name)) is None else v for name, usual in _ORDER.items()}
    # The longest id that will be said is the one that is checked.
    name = options.commande if count == 1 or options.commande is None else f"{options.commande}-{count}"
    commande_id = new_commande_id() if name is None else name
    first = commande(
        commande_id, wanted["client"], wanted["produit"], wanted["quantite"], amount(wanted["montant"])
    )
    return Sayings(CommandeInitiee, numbered(first, options.commande, count), count)


def _from_file(name: str, *, skip_bad: bool) -> Sayings:
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb") as file:
            orders, bad = read_orders(lines_of(file))
    except OSError as error:
        raise WrongOrderError(f"{name}: {error.strerror}") from None
    for line in bad[:_MOST_COMPLAINTS]:
        complain(f"{name}, line {line.number}: {line.reason}")
    if len(bad) > _MOST_COMPLAINTS:
        complain(f"{name}: {len(bad) - _MOST_COMPLAINTS} more bad lines")
    if bad and not skip_bad:
        raise WrongOrderError(f"nothing was said: {len(bad)} bad lines (--skip-bad says the other {len(orders)})")
    if not orders:
        raise WrongOrderError(f"{name}: no order in it")
    return Sayings(CommandeInitiee, orders, len(orders))


async def _say(settings: Settings, outbox_events: Sayings, options: argparse.Namespace) -> int:
    outcome = Outcome()
    try:
        await _speak(settings, outbox_events, options, outcome)
    except OSError as error:
        # What is left to write has nowhere to go, and the interpreter must not try.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        enough = isinstance(error, BrokenPipeError)
        why = "nobody reads the ids any more" if enough else f"the ids cannot be written ({error.strerror})"
        if not enough or outcome.said < outbox_events.total:
            complain(f"{why}: {outcome.said} of {outbox_events.total} were said")
            return 1
    if options.annuler is not None and outcome.said:
        complain(demanded(options.annuler))
    for fate, ids in outcome.failed.items():
        complain(f"{len(ids)} of {outbox_events.total} {fate.value} by the broker: {', '.join(ids[:5])}")
    return 1 if outcome.failed else 0


async def _speak(
    settings: Settings, outbox_events: Sayings, options: argparse.Namespace, outcome: Outcome
) -> None:
    with progress(outbox_events.total) as advance:
        async with aclosing(say(settings, outbox_events.cls, outbox_events.events, options.rate)) as told:
            async for item in told:
                if isinstance(item, str):
                    complain(item)
                    continue
                # Before the first of them is printed: that may be impossible, and then they are said all the same.
                confirmed = [spoken for spoken in item if outcome.notes(spoken)]
                for spoken in confirmed:
                    _show(spoken, as_json=options.json)
                sys.stdout.flush()
                advance(len(item))


def _show(spoken: Spoken, *, as_json: bool) -> None:
    known = {"commande_id": spoken.commande_id, "event_id": spoken.event_id, "type": spoken.outgoing.routing_key}
    print(json.dumps(known, ensure_ascii=False) if as_json else spoken.commande_id)


if __name__ == "__main__":
    open_streams()
    sys.exit(main())
