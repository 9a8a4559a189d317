"""A customer's events, made from options or from a file of orders, and validated before any is published."""

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

E = TypeVar("E", bound=Event)

# Every order of a file is validated before the first is published, so all of them are in memory at once.
MOST_LINES = 1_000_000
LONGEST_LINE_BYTES = 64 * 1024 * 1024


class InvalidOrderError(Exception):
    """The order is invalid; the text is one line for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class BadLine:
    number: int
    reason: str


def new_commande_id() -> str:
    return f"CMD-{uuid.uuid4().hex[:16].upper()}"


def commande(commande_id: str, client: str, produit: str, quantite: int, montant: Decimal) -> CommandeInitiee:
    """Raises InvalidOrderError."""
    fields = {"client_id": client, "produit_id": produit, "quantite": quantite, "montant": montant}
    return _validated(CommandeInitiee, fields | {"commande_id": commande_id})


def annulation(commande_id: str, raison: str) -> CommandeAnnulationDemandee:
    """Raises InvalidOrderError."""
    return _validated(CommandeAnnulationDemandee, {"commande_id": commande_id, "raison": raison})


def repeated(first: CommandeInitiee, given: str | None, count: int) -> Iterator[CommandeInitiee]:
    """`count` orders like `first`: a single one keeps its id; several get `given`-1, `given`-2, … or new ids."""
    if count == 1:
        yield first
        return
    for number in range(1, count + 1):
        name = f"{given}-{number}" if given else new_commande_id()
        yield first.model_copy(update={"commande_id": name})


def amount(text: str) -> Decimal:
    """Raises InvalidOrderError."""
    try:
        # Python reads 1_000 as a thousand; the person may have meant something else.
        return Decimal(text.replace("_", "?"))
    except InvalidOperation:
        raise InvalidOrderError(f"montant: {text[:40]!r} is not a number (write 99.99)") from None


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """The lines of `file`. A line longer than any valid order comes truncated, one byte over the limit.

    Raises InvalidOrderError at a line of more than `LONGEST_LINE_BYTES`, and after `MOST_LINES`.
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
                raise InvalidOrderError(f"a line of over {LONGEST_LINE_BYTES} bytes; this is no file of orders")
    if file.read(1):
        raise InvalidOrderError(f"more than {MOST_LINES} lines; split the file")


def read_orders(lines: Iterable[bytes]) -> tuple[list[CommandeInitiee], list[BadLine]]:
    """The orders of a file with one JSON object per line, and its invalid lines. Empty lines are skipped."""
    orders: list[CommandeInitiee] = []
    bad: list[BadLine] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            order = _order(line)
            if order.commande_id in seen:
                raise InvalidOrderError(f"commande_id: the same as on line {seen[order.commande_id]}")
        except InvalidOrderError as error:
            bad.append(BadLine(number, str(error)))
        else:
            seen[order.commande_id] = number
            orders.append(order)
    return orders, bad


def _order(line: bytes) -> CommandeInitiee:
    if len(line) > MAX_BODY_BYTES:
        raise InvalidOrderError(f"longer than {MAX_BODY_BYTES} bytes")
    try:
        # Amounts are parsed as Decimal: a float would round them before they are validated.
        data = json.loads(line.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        raise InvalidOrderError("not JSON") from None
    if not isinstance(data, dict):
        raise InvalidOrderError("not a JSON object")
    return _validated(CommandeInitiee, {"commande_id": new_commande_id()} | data)


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _validated(cls: type[E], fields: dict[str, Any]) -> E:
    try:
        return cls.model_validate(fields)
    except ValidationError as error:
        raise InvalidOrderError(first_problem(error)) from None


def cancellation_notice(commande_id: str) -> str:
    """What to tell the person after a demand to cancel was published."""
    # A demand may overtake its order, and without an order nobody answers it.
    shown = f"python -m saga_monitor show {shlex.quote(commande_id)}"
    return f"the demand is published; it has no effect unless there is an order {commande_id} (see `{shown}`)"
