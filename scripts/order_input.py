"""Builds a customer's orders from arguments or a file, and checks them before anything is published."""

import json
import shlex
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, BinaryIO, NoReturn, TypeVar

from pydantic import ValidationError

from choregraphie.saga.envelope import MAX_BODY_BYTES, Event
from choregraphie.saga.problems import first_problem
from contracts.client import CommandeAnnulationDemandee, CommandeInitiee

S = TypeVar("S", bound=Event)

# Every order of a file is checked before the first is said, so all of them are held at once.
MOST_LINES = 1_000_000
LONGEST_LINE_BYTES = 64 * 1024 * 1024


class WrongOrderError(Exception):
    """The order cannot be said as it stands; the text is one line, for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class BadLine:
    number: int
    reason: str


def new_commande_id() -> str:
    return f"CMD-{uuid.uuid4().hex[:16].upper()}"


def commande(commande_id: str, client: str, produit: str, quantite: int, montant: Decimal) -> CommandeInitiee:
    """Raises WrongOrderError."""
    said = {"client_id": client, "produit_id": produit, "quantite": quantite, "montant": montant}
    return _checked(CommandeInitiee, said | {"commande_id": commande_id})


def annulation(commande_id: str, raison: str) -> CommandeAnnulationDemandee:
    """Raises WrongOrderError."""
    return _checked(CommandeAnnulationDemandee, {"commande_id": commande_id, "raison": raison})


def numbered(first: CommandeInitiee, given: str | None, count: int) -> Iterator[CommandeInitiee]:
    """`count` orders like `first`: under its id when alone, else under ids of their own (`given`-1, …)."""
    if count == 1:
        yield first
        return
    for number in range(1, count + 1):
        name = f"{given}-{number}" if given else new_commande_id()
        yield first.model_copy(update={"commande_id": name})


def amount(text: str) -> Decimal:
    """Raises WrongOrderError."""
    try:
        # Python would read 1_000 as a thousand; who typed it may have meant anything.
        return Decimal(text.replace("_", "?"))
    except InvalidOperation:
        raise WrongOrderError(f"montant: {text[:40]!r} is not a number (write 99.99)") from None


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """The lines of `file`; one that is too long for any order comes cut, one byte longer than the longest.

    Raises WrongOrderError at a line of more than `LONGEST_LINE_BYTES`, and after `MOST_LINES`.
    """
    for _ in range(MOST_LINES):
        line = file.readline(MAX_BODY_BYTES + 1)
        if not line:
            return
        yield line
        read = len(line)
        while len(line) > MAX_BODY_BYTES and not line.endswith(b"\n"):
            line = file.readline(MAX_BODY_BYTES + 1)
            read += len(line)
            if read > LONGEST_LINE_BYTES:
                raise WrongOrderError(f"a line of over {LONGEST_LINE_BYTES} bytes; this is no file of orders")
    if file.read(1):
        raise WrongOrderError(f"more than {MOST_LINES} lines; split the file")


def read_orders(lines: Iterable[bytes]) -> tuple[list[CommandeInitiee], list[BadLine]]:
    """The orders of a file, one JSON object a line, and the lines that are none. Empty lines are passed over."""
    orders: list[CommandeInitiee] = []
    bad: list[BadLine] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            order = _order(line)
            if order.commande_id in seen:
                raise WrongOrderError(f"commande_id: the same as on line {seen[order.commande_id]}")
        except WrongOrderError as error:
            bad.append(BadLine(number, str(error)))
        else:
            seen[order.commande_id] = number
            orders.append(order)
    return orders, bad


def _order(line: bytes) -> CommandeInitiee:
    if len(line) > MAX_BODY_BYTES:
        raise WrongOrderError(f"longer than {MAX_BODY_BYTES} bytes")
    try:
        # An amount is read as it is written: a float would round it before anybody could look.
        data = json.loads(line.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise WrongOrderError("not JSON") from None
    if not isinstance(data, dict):
        raise WrongOrderError("not a JSON object")
    return _checked(CommandeInitiee, {"commande_id": new_commande_id()} | data)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _checked(cls: type[S], said: dict[str, Any]) -> S:
    try:
        return cls.model_validate(said)
    except ValidationError as error:
        raise WrongOrderError(first_problem(error)) from None


def demanded(commande_id: str) -> str:
    """What whoever has asked to cancel an order should know."""
    # A demand is an event like any other: it may overtake its order, and nobody answers one without an order.
    shown = f"python -m saga_monitor show {shlex.quote(commande_id)}"
    return f"the demand is published; it has no effect unless there is an order {commande_id}: `{shown}` tells"
