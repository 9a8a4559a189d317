"""Queries for trouble: the orders to examine, and what is known about each."""

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent
from saga_monitor.analysis.interventions import answered, is_among
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.projection import sampling
from saga_monitor.projection.counters import REASONS, Histogram, histogram
from saga_monitor.projection.indexes import has
from saga_monitor.projection.messages import DEAD_LETTER, RETRY, dead_letter_of, retry_of
from saga_monitor.projection.models import LastHeard, Order
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.sampling import NOT_SENT_BACK, Cutoffs
from saga_monitor.projection.schema import instant, moment

# More than a person can read. Orders beyond this number are counted, not examined.
LOOKED_AT = 500
_BEGINNING_OF_TIME = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LETTERS = (
    f"SELECT {DEAD_LETTER}, state"  # noqa: S608 - constants
    " FROM dead_letters AS letter LEFT JOIN orders USING (commande_id)"
)
_LETTERS_AT = f'{_LETTERS} WHERE "offset" IN (SELECT value FROM json_each(?)) ORDER BY "offset" DESC'  # noqa: S608 - a constant
_LETTERS_OF_ORDERS = (
    f"{_LETTERS} WHERE commande_id IN (SELECT value FROM json_each(?)) AND {NOT_SENT_BACK}"  # noqa: S608 - constants
    ' ORDER BY "offset"'
)
_FLAGGED = (Flag.CONTRADICTION, Flag.NOT_ALLOWED, Flag.REPEATED_ORDER, Flag.INTERVENTION)


@dataclass(frozen=True, slots=True)
class Case:
    """One order, its events, and its open retries and dead letters: those neither answered nor sent back since.

    `similar`: how many more orders wait in the same way and were not examined.
    """

    order: Order
    heard: EventsOfSaga
    retries: tuple[Retry, ...]
    dead_letters: tuple[DeadLetter, ...]
    similar: int = 0


@dataclass(frozen=True, slots=True)
class ForeignEvent:
    """An event that came by another speaker's exchange."""

    exchange: str
    type: str
    source: str
    commande_id: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """`effect`'s clock is behind `cause`'s by `worst_ms` or more. `commande_id`: an order that shows it."""

    cause: str
    effect: str
    worst_ms: int
    commande_id: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class SampledLetter:
    """A dead letter that stands for `similar` more. `undone`: its order was cancelled and undone since."""

    letter: DeadLetter
    similar: int
    undone: bool


def cases(queries: Queries, silent_for: float, now: dt.datetime, marks: Cutoffs) -> list[Case]:
    """The orders that may have a problem: flagged, silent in flight for `silent_for` seconds, or being retried.

    Of very many orders a sample is examined: one of each group that waits for the same step and that `marks` do
    not separate. It stands for the others.
    """
    flagged = {order.commande_id: order for flag in _FLAGGED for order in queries.flagged(flag, LOOKED_AT, now)}
    until = now - dt.timedelta(seconds=silent_for)
    similar = sampling.sample_waiting(queries, until, now, marks, flagged, LOOKED_AT)
    return _with_evidence(queries, flagged | _orders(queries, similar, now), similar)


def case(queries: Queries, commande_id: str, now: dt.datetime) -> Case | None:
    """That order, whether it has a problem or not; None when there is none."""
    order = queries.order(commande_id, now)
    return _with_evidence(queries, {commande_id: order})[0] if order else None


def flagged_beyond(queries: Queries, looked_at: Iterable[Case], since: dt.datetime) -> dict[Flag, int]:
    """By flag, how many orders were heard since `since` and not examined; all are older than the examined ones."""
    seen: dict[Flag, list[Order]] = {flag: [] for flag in _FLAGGED}
    for case in looked_at:
        for flag in seen.keys() & set(case.order.flags):
            seen[flag].append(case.order)
    return {
        flag: _heard_before(queries, flag, min(order.last_offset for order in orders), since)
        if len(orders) >= LOOKED_AT
        else 0
        for flag, orders in seen.items()
    }


def _heard_before(queries: Queries, flag: Flag, offset: int, since: dt.datetime) -> int:
    question = f"SELECT count(*) FROM orders WHERE {has(flag)} AND last_offset < ? AND heard >= ?"  # noqa: S608
    return int(queries.ask(question, offset, instant(since))[0][0])


def last_heard(queries: Queries) -> dict[str, LastHeard]:
    rows = queries.ask('SELECT service, "offset", at FROM voices')
    return {service: LastHeard(offset, moment(at) or _BEGINNING_OF_TIME) for service, offset, at in rows}


def foreign_events(queries: Queries, since: dt.datetime) -> list[ForeignEvent]:
    rows = queries.ask(
        "SELECT exchange, type, source, commande_id, at FROM strangers"
        ' WHERE at >= ? ORDER BY "offset" DESC LIMIT ?',
        instant(since),
        LOOKED_AT,
    )
    return [
        ForeignEvent(exchange, type_, source, id_, moment(at) or since)
        for exchange, type_, source, id_, at in rows
    ]


def clock_skews(queries: Queries, since: dt.datetime) -> list[ClockSkew]:
    rows = queries.ask(
        "SELECT cause, effect, worst_ms, commande_id, at FROM skews WHERE at >= ? ORDER BY worst_ms DESC",
        instant(since),
    )
    return [ClockSkew(cause, effect, ms, id_, moment(at) or since) for cause, effect, ms, id_, at in rows]


def newest_dead_letters(
    queries: Queries, service: str, count: int | None, since: dt.datetime = _BEGINNING_OF_TIME
) -> list[SampledLetter]:
    """The `count` newest dead letters of a service, or all since `since`; of very many, some of each reason."""
    similar = sampling.sample_dead_letters(
        queries, service, since, -1 if count is None else count, REASONS, LOOKED_AT
    )
    rows = queries.ask(_LETTERS_AT, json.dumps(list(similar)))
    letters = [(dead_letter_of(row), state == State.COMPENSATED) for *row, state in rows]
    return [SampledLetter(letter, similar[letter.offset], undone) for letter, undone in letters]


def retries_under_way(queries: Queries, service: str, since: dt.datetime) -> int:
    """How many messages of a service may wait for another try: those due since `since`, of the newest retries."""
    ((known,),) = queries.ask(
        'SELECT count(*) FROM (SELECT * FROM retries ORDER BY "offset" DESC LIMIT 10000)'
        " WHERE service = ? AND max(coalesce(next, at), at) >= ?",
        service,
        instant(since),
    )
    return int(known)


def step_spreads(queries: Queries) -> dict[str, Histogram]:
    """How long each step and each undoing took, by the name of its counters (`step.stock`, `undo.stock`)."""
    rows = queries.ask("SELECT name, value FROM counters WHERE name GLOB 'step*' OR name GLOB 'undo*'")
    names = [f"{kind}.{service}" for kind in ("step", "undo") for service in CHOREOGRAPHY.services]
    return {name: histogram(dict(rows), name) for name in names}


def _orders(queries: Queries, ids: Iterable[str], now: dt.datetime) -> dict[str, Order]:
    numbers = queries.ask(
        "SELECT number FROM orders WHERE commande_id IN (SELECT value FROM json_each(?))", json.dumps(list(ids))
    )
    return {order.commande_id: order for order in queries.numbered([number for (number,) in numbers], now)}


def _with_evidence(
    queries: Queries, orders: Mapping[str, Order], similar: Mapping[str, int] | None = None
) -> list[Case]:
    ids = json.dumps(list(orders))
    events = _events(queries, ids)
    retries, letters = _retries(queries, ids), _dead_letters(queries, ids)
    found = []
    for id_, order in orders.items():
        heard = EventsOfSaga(events[id_])
        over = answered(heard)
        found.append(
            Case(
                order,
                heard,
                tuple(one for one in retries[id_] if not is_among(over, one)),
                tuple(one for one in letters[id_] if not is_among(over, one)),
                (similar or {}).get(id_, 0),
            )
        )
    return found


def _events(queries: Queries, ids: str) -> dict[str, list[HeardEvent]]:
    events: dict[str, list[HeardEvent]] = defaultdict(list)
    for id_, event_id, type_, service, time, cause, modele, nothing, offset, source in queries.ask(
        "SELECT commande_id, id, type, service, time, causationid, modele, undid_nothing,"
        ' "offset", source FROM events'
        " WHERE commande_id IN (SELECT value FROM json_each(?))",
        ids,
    ):
        events[id_].append(
            HeardEvent(event_id, type_, service, moment(time), cause, modele, bool(nothing), offset, source)
        )
    return events


def _retries(queries: Queries, ids: str) -> dict[str, list[Retry]]:
    found: dict[str, list[Retry]] = defaultdict(list)
    question = (
        f'SELECT {RETRY} FROM retries WHERE commande_id IN (SELECT value FROM json_each(?)) ORDER BY "offset"'  # noqa: S608
    )
    for retry in map(retry_of, queries.ask(question, ids)):
        found[retry.commande_id or ""].append(retry)
    return found


def _dead_letters(queries: Queries, ids: str) -> dict[str, list[DeadLetter]]:
    found: dict[str, list[DeadLetter]] = defaultdict(list)
    for *row, _ in queries.ask(_LETTERS_OF_ORDERS, ids):
        letter = dead_letter_of(row)
        found[letter.commande_id or ""].append(letter)
    return found
