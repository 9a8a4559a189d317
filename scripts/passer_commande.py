#!/usr/bin/env python3
"""Place one order or many, or ask for an order to be cancelled, as a customer does."""

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
    from choregraphie import Settings, UserError
    from choregraphie.logs import configure_logs
    from choregraphie.messaging import PublishOutcome
    from choregraphie.process.stdout_errors import prepare_standard_streams
    from choregraphie.saga.envelope import Event
    from choregraphie.terminal.arguments import Parser
    from contracts.client import CommandeAnnulationDemandee, CommandeInitiee
    from scripts.cli_parser import number, whole
    from scripts.order_input import (
        InvalidOrderError,
        amount,
        annulation,
        cancellation_notice,
        commande,
        lines_of,
        new_commande_id,
        read_orders,
        repeated,
    )
    from scripts.progress import progress
    from scripts.publisher import BrokerUnreachableError, NoReceiverError, PublishedEvent, publish_events
    from services.application import APP
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
                         one JSON object per line: client_id, produit_id, quantite, montant, optionally commande_id

The ids of the orders go to standard output, one per line, as soon as the broker has confirmed them; with --json,
one object per line. SAGA_AMQP_URL names the broker.

A demand to cancel is published whether or not the order exists, because it may overtake its order. Without an
order it has no effect, and is deleted after some time.

exit codes: 0 published, 1 nobody hears it, or not everything was published, 2 usage or configuration error, or
the broker is away (one line says what)
"""
_ORDER: dict[str, Any] = {"client": "CLIENT-123", "produit": "PROD-456", "quantite": 2, "montant": "99.99"}
# The number of bad lines that are named; further ones are only counted.
_MOST_ERRORS = 20


@dataclass
class Request:
    """The events to publish, all of one type, and their number."""

    cls: type[Event]
    events: Iterable[Event]
    total: int


@dataclass
class Outcome:
    published: int = 0
    failed: dict[PublishOutcome, list[str]] = field(default_factory=dict)

    def record(self, event: PublishedEvent) -> bool:
        """Count an event. Returns whether it was published."""
        if event.outcome is PublishOutcome.CONFIRMED:
            self.published += 1
        else:
            self.failed.setdefault(event.outcome, []).append(event.commande_id)
        return event.outcome is PublishOutcome.CONFIRMED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = APP.read_settings(os.environ)
        configure_logs(settings)
        return asyncio.run(_run(settings, _request(options), options))
    except (InvalidOrderError, BrokerUnreachableError, UserError) as error:
        print_error(str(error))
        return 2
    except NoReceiverError as error:
        print_error(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


def print_error(text: str) -> None:
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
    order.add_argument("--client", metavar="ID", help=f"the client (default: {_ORDER['client']})")
    order.add_argument("--produit", metavar="ID", help=f"the product (default: {_ORDER['produit']})")
    order.add_argument("--quantite", type=whole, metavar="N", help=f"the quantity (default: {_ORDER['quantite']})")
    order.add_argument("--montant", metavar="M", help=f"the amount (default: {_ORDER['montant']})")
    order.add_argument(
        "--commande", metavar="ID", help="the order's id (default: new; with --count: ID-1, ID-2, …)"
    )
    many = parser.add_argument_group("many orders")
    many.add_argument("--count", type=whole, metavar="N", help="publish N equal orders")
    many.add_argument("--file", metavar="FILE", help="publish the orders of a file; - for standard input")
    many.add_argument("--skip-bad", action="store_true", help="with --file: skip invalid lines")
    many.add_argument("--rate", type=number, metavar="R", help="at most R orders a second")
    other = parser.add_argument_group("instead of an order")
    other.add_argument("--annuler", metavar="CMD", help="ask for the order CMD to be cancelled")
    other.add_argument("--raison", metavar="TEXT", help="the reason (default: demande du client)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per event")
    return parser


def _request(options: argparse.Namespace) -> Request:
    """The events that the command line asks for. Raises InvalidOrderError."""
    if options.rate is not None and not 0 < options.rate <= 1_000_000:
        raise InvalidOrderError("--rate is more than 0, and at most 1000000")
    given = {f"--{name}" for name in (*_ORDER, "commande", "count") if getattr(options, name) is not None}
    if options.annuler is not None:
        _reject_with("--annuler", given | ({"--file"} if options.file else set()))
        demand = annulation(options.annuler, "demande du client" if options.raison is None else options.raison)
        return Request(CommandeAnnulationDemandee, [demand], 1)
    if options.raison is not None:
        raise InvalidOrderError("--raison goes with --annuler")
    if options.file is not None:
        _reject_with("--file", given)
        return _from_file(options.file, skip_bad=options.skip_bad)
    if options.skip_bad:
        raise InvalidOrderError("--skip-bad goes with --file")
    return _from_options(options)


def _reject_with(option: str, given: set[str]) -> None:
    if given:
        raise InvalidOrderError(f"{option} does not go with {', '.join(sorted(given))}")


def _from_options(options: argparse.Namespace) -> Request:
    count = 1 if options.count is None else options.count
    if not 1 <= count <= 10_000_000:
        raise InvalidOrderError("--count is between 1 and 10000000")
    order = {name: default if (v := getattr(options, name)) is None else v for name, default in _ORDER.items()}
    # With --count the longest id is the one to validate.
    name = options.commande if count == 1 or options.commande is None else f"{options.commande}-{count}"
    commande_id = new_commande_id() if name is None else name
    first = commande(commande_id, order["client"], order["produit"], order["quantite"], amount(order["montant"]))
    return Request(CommandeInitiee, repeated(first, options.commande, count), count)


def _from_file(name: str, *, skip_bad: bool) -> Request:
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb") as file:
            orders, bad = read_orders(lines_of(file))
    except OSError as error:
        raise InvalidOrderError(f"{name}: {error.strerror}") from None
    for line in bad[:_MOST_ERRORS]:
        print_error(f"{name}, line {line.number}: {line.reason}")
    if len(bad) > _MOST_ERRORS:
        print_error(f"{name}: {len(bad) - _MOST_ERRORS} more bad lines")
    if bad and not skip_bad:
        raise InvalidOrderError(
            f"nothing was published: {len(bad)} bad lines (--skip-bad publishes the other {len(orders)})"
        )
    if not orders:
        raise InvalidOrderError(f"{name}: no order in it")
    return Request(CommandeInitiee, orders, len(orders))


async def _run(settings: Settings, request: Request, options: argparse.Namespace) -> int:
    outcome = Outcome()
    try:
        await _publish(settings, request, options, outcome)
    except OSError as error:
        # Standard output is closed or full: the interpreter must not try to flush it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        reader_gone = isinstance(error, BrokenPipeError)
        why = "nobody reads the ids any more" if reader_gone else f"the ids cannot be written ({error.strerror})"
        if not reader_gone or outcome.published < request.total:
            print_error(f"{why}: {outcome.published} of {request.total} were published")
            return 1
    if options.annuler is not None and outcome.published:
        print_error(cancellation_notice(options.annuler))
    for publish_outcome, ids in outcome.failed.items():
        print_error(f"{len(ids)} of {request.total} {publish_outcome.value} by the broker: {', '.join(ids[:5])}")
    return 1 if outcome.failed else 0


async def _publish(settings: Settings, request: Request, options: argparse.Namespace, outcome: Outcome) -> None:
    with progress(request.total) as advance:
        async with aclosing(publish_events(settings, request.cls, request.events, options.rate)) as batches:
            async for batch in batches:
                if isinstance(batch, str):
                    print_error(batch)
                    continue
                # Count before printing: printing may fail, and the events are published all the same.
                confirmed = [event for event in batch if outcome.record(event)]
                for event in confirmed:
                    _show(event, as_json=options.json)
                sys.stdout.flush()
                advance(len(batch))


def _show(event: PublishedEvent, *, as_json: bool) -> None:
    shown = {"commande_id": event.commande_id, "event_id": event.event_id, "type": event.outgoing.routing_key}
    print(json.dumps(shown, ensure_ascii=False) if as_json else event.commande_id)


if __name__ == "__main__":
    prepare_standard_streams()
    sys.exit(main())
