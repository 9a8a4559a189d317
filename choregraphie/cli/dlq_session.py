"""What every command about dead letters needs: its services, its connections, who gives it."""

import argparse
import contextlib
from collections.abc import AsyncIterator
from functools import cache, partial
from typing import Any

from choregraphie.amqp_url import broker_address
from choregraphie.application import Application
from choregraphie.broker import Publisher, apply_topology, connected, open_dead_letters, open_publisher
from choregraphie.dead_letters.audit import Operator, operator_name
from choregraphie.dead_letters.letter import Letter
from choregraphie.dead_letters.prediction import Predictor
from choregraphie.dead_letters.selection import Found, Selection, letters_of
from choregraphie.dead_letters.treatment import Treatment
from choregraphie.errors import UserError
from choregraphie.failpoints import arm
from choregraphie.printable import printable
from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import OPERATORS
from choregraphie.settings import Settings
from choregraphie.signing import OPS, signer_for, verifier_for
from choregraphie.terminal.arguments import TIME_EXAMPLES, past_time

CONNECTION_NAME = "operator"
_LONGEST_REASON = 500


def add_services(parser: argparse.ArgumentParser, application: Application) -> None:
    """Add `--service NAME`, which may be repeated; foreign services have dead letters too."""
    parser.add_argument(
        "--service",
        dest="services",
        action="append",
        choices=application.saga_set.services,
        help="only this service; may be repeated",
    )


def add_because(parser: Any, *, required: bool = True) -> None:
    """Add `--because TEXT` and `--by NAME`."""
    parser.add_argument(
        "--because", required=required, type=_reason, metavar="TEXT", help="why; kept in the audit"
    )
    parser.add_argument(
        "--by", type=_name, default=None, metavar="NAME", help="who does it; default: this user and this host"
    )


def add_since(parser: argparse.ArgumentParser, what: str = "set aside") -> None:
    """Add `--since TIME`. `what`: what happened since then."""
    parser.add_argument("--since", type=past_time, metavar="TIME", help=f"{what} since: {TIME_EXAMPLES}")


def _reason(text: str) -> str:
    return _line(text, _LONGEST_REASON)


def _name(text: str) -> str:
    return _line(text, 100)


def _line(text: str, most: int) -> str:
    stripped = text.strip()
    if not stripped or len(stripped) > most or not stripped.isprintable():
        raise argparse.ArgumentTypeError(f"expected one line of 1 to {most} characters")
    return stripped


def services_of(options: argparse.Namespace) -> tuple[str, ...]:
    """The services that the command line names; all of them by default."""
    application: Application = options.application
    return tuple(dict.fromkeys(options.services or application.saga_set.services))


def operator_of(options: argparse.Namespace, settings: Settings) -> Operator:
    """Who gives the command."""
    user = broker_address(settings.current("amqp_url")).user
    return Operator(options.by or operator_name(), printable(user))


def predictors(application: Application, settings: Settings) -> Any:
    """A function that gives the predictor of a service, the same at each call."""
    return cache(partial(Predictor, application, settings=settings, verifier=verifier_for(settings)))


@contextlib.asynccontextmanager
async def publishing(application: Application, settings: Settings) -> AsyncIterator[Publisher]:
    """A connection to publish on, to a broker that takes the records of operators.

    Raises BrokerRefused or BrokerUnavailable; UserError when the broker has no exchange for the records.
    """
    if settings.topology == "apply":
        async with connected(settings, CONNECTION_NAME) as connection:
            # A broker that older workers set up has no exchange for the records yet.
            await apply_topology(connection, application.topology(settings), declare=True)
    async with open_publisher(settings, f"{CONNECTION_NAME} publishes", OPS) as publisher:
        if not await publisher.has_exchange(OPERATORS):
            raise UserError(
                f"the broker has no exchange {OPERATORS}; `{application.command} topology apply` makes it"
            )
        yield publisher


@contextlib.asynccontextmanager
async def treating(options: argparse.Namespace, settings: Settings) -> AsyncIterator[Treatment]:
    """The connections of a command that changes something. Raises BrokerRefused or BrokerUnavailable."""
    application: Application = options.application
    arm(settings.failpoint)
    async with (
        publishing(application, settings) as publisher,
        open_dead_letters(settings, f"{CONNECTION_NAME} reads dead letters") as queues,
    ):
        operator = operator_of(options, settings)
        yield Treatment(
            queues, publisher, application.saga_set, operator, options.because or "", signer_for(settings, OPS)
        )
        await queues.flush()


async def find(treatment: Treatment, services: tuple[str, ...], ids: frozenset[str]) -> list[Found]:
    """The letters with these ids, copies included. Raises UserError when one is in none of the queues."""
    selection = Selection(services, ids)
    found: list[Found] = []
    for service in services:
        async for batch in letters_of(treatment.queues, service, treatment.sagas):
            found += [one for one in batch if selection.matches(one[1])]
    for missing in sorted(ids - {letter.id for _, letter in found}):
        raise UserError(f"no dead letter {missing[:100]} in {_places(services)}; `dlq list` names those there are")
    return found


def _places(services: tuple[str, ...]) -> str:
    return ", ".join(f"{service}.dlq" for service in services)


def as_json(letter: Letter, sagas: SagaSet) -> dict[str, Any]:
    """A letter for a program; the key has its own name."""
    return {
        "id": letter.id,
        "service": letter.service,
        "reason": letter.reason,
        "detail": letter.detail,
        "fingerprint": letter.fingerprint,
        "at": letter.at.isoformat() if letter.at else None,
        "type": letter.type,
        "event_id": letter.event_id,
        "source": letter.source,
        "saga": letter.saga,
        sagas.key_of(letter.saga): letter.key,
        "routing_key": letter.routing_key,
        "size": letter.size,
        "held": letter.held or None,
        "edited": letter.edited or None,
        "original": letter.original or None,
        "replayed": letter.replayed or None,
    }
