"""Samples a few instances of each kind out of many and counts the rest, so that no kind hides another."""

import datetime as dt
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from choregraphie.saga.saga_set import SagaSet
from saga_monitor.analysis.interventions import GIVEN_UP
from saga_monitor.projection.indexes import OF_SAGAS
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.schema import instant

# Instances in the same situation are one kind; within a kind, the longest silent comes first. The sample takes one
# of each kind, then a second of each, and so on. Counting and ranking in one window takes twice as long.
_WAITING = """
WITH waiting AS (
    SELECT number, quiet_since, (quiet_since >= ?2) || ' ' || {bands}saga || ' ' || state || remaining || CASE
        WHEN dead_letters = 0 THEN ''
        ELSE (
            SELECT group_concat(DISTINCT service || (reason IN (SELECT value FROM json_each(?4))))
            FROM dead_letters AS letter WHERE letter.key = instances.key AND letter.saga = instances.saga
        )
    END AS kind
    FROM instances WHERE at_rest = 0 AND (quiet_since < ?1 OR quiet_since >= ?2)
        AND number NOT IN (SELECT value FROM json_each(?3)) AND {declared}
), kinds AS (
    SELECT kind, count(*) AS many FROM waiting GROUP BY kind
), placed AS (
    SELECT number, kind, row_number() OVER (PARTITION BY kind ORDER BY quiet_since) AS place FROM waiting
), first AS (
    SELECT * FROM placed WHERE place <= ?5 ORDER BY place, kind LIMIT ?5
) SELECT number, kind, many - place FROM first JOIN kinds USING (kind) ORDER BY place, kind
"""
# Nothing shows that a `letter` was sent back or ended by an operator: since then its message was not retried,
# given up again or answered.
# A refusal does not count as an answer, because it replaces the answer when the message becomes a dead letter.
_SINCE = 'later.service = letter.service AND later."offset" > letter."offset" AND later.{id} = letter.event_id'
_SAME_KEY = "later.key = letter.key AND later.saga IS letter.saga"
_SAME = " AND later.source = letter.source"
# The index is forced: the planner may choose the one by service and scan a whole outage for each dead letter.
_NOT_SENT_BACK = """
letter.ended = '' AND NOT EXISTS (
    SELECT 1 FROM retries AS later WHERE {key} AND {same}
) AND NOT EXISTS (
    SELECT 1 FROM dead_letters AS later INDEXED BY dead_letters_of_instance
    WHERE {key} AND {same} AND later.reason IN ({given_up})
) AND NOT EXISTS (
    SELECT 1 FROM events AS later
    WHERE {key} AND {answer} AND later.type NOT IN (SELECT value FROM json_each({refusals}))
)
"""


def not_sent_back(refusals: str) -> str:
    """The SQL condition that a `letter` was not sent back; `refusals`: the parameter bound to `refusals_of`."""
    return _NOT_SENT_BACK.format(
        key=_SAME_KEY,
        same=_SINCE.format(id="event_id") + _SAME,
        answer=_SINCE.format(id="causationid"),
        given_up=", ".join(f"'{reason}'" for reason in sorted(GIVEN_UP)),
        refusals=refusals,
    )


def refusals_of(sagas: SagaSet) -> str:
    """The wire types of all refusals, as JSON."""
    return json.dumps(sorted(type_ for saga in sagas for type_ in saga.refusal_types))


# The newest dead letters of a queue, by reason; all reasons that are not ours are one kind.
_LETTERS = f"""
WITH there AS (
    SELECT "offset", CASE WHEN reason IN (SELECT value FROM json_each(?4)) THEN reason ELSE '' END AS kind
    FROM dead_letters AS letter WHERE service = ?1 AND at > ?2 AND {not_sent_back("?6")}
    ORDER BY "offset" DESC LIMIT ?3
), kinds AS (
    SELECT kind, count(*) AS many FROM there GROUP BY kind
), placed AS (
    SELECT "offset", kind, row_number() OVER (PARTITION BY kind ORDER BY "offset" DESC) AS place FROM there
), first AS (
    SELECT * FROM placed WHERE place <= ?5 ORDER BY place, kind LIMIT ?5
) SELECT "offset", kind, many - place FROM first JOIN kinds USING (kind) ORDER BY place, kind
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """Moments and offsets that divide instances in the same situation into kinds, by when they were last heard."""

    moments: Sequence[dt.datetime] = ()
    offsets: Sequence[int] = ()


def sample_waiting(
    queries: Queries,
    until: dt.datetime,
    now: dt.datetime,
    marks: Cutoffs,
    but_for: Iterable[int],
    limit: int,
) -> dict[int, int]:
    """Samples instances silent since before `until` or waiting for a retry, with how many more each represents.

    By number; `but_for`: the numbers of instances not to be counted.
    """
    # Built from numbers only; the values are bound.
    bands = _band_sql("heard", 7, len(marks.moments)) + _band_sql(
        "last_offset", 7 + len(marks.moments), len(marks.offsets)
    )
    rows = queries.ask(
        _WAITING.format(bands=bands, declared=OF_SAGAS.format("?6")),
        instant(until),
        instant(now),
        json.dumps(list(but_for)),
        json.dumps(sorted(GIVEN_UP)),
        limit,
        json.dumps(queries.names_of(None)),
        *map(instant, marks.moments),
        *marks.offsets,
    )
    return _represented(rows)


def sample_dead_letters(
    queries: Queries, service: str, since: dt.datetime, count: int, reasons: Collection[str], limit: int
) -> dict[int, int]:
    """Samples the `count` newest dead letters (-1: all) of a service, with how many more each represents."""
    rows = queries.ask(
        _LETTERS, service, instant(since), count, json.dumps(sorted(reasons)), limit, refusals_of(queries.sagas)
    )
    return _represented(rows)


def _band_sql(column: str, first: int, many: int) -> str:
    """SQL for how many of the values bound from parameter `first` on exceed the column."""
    return f"({' + '.join(['0', *(f'({column} < ?{first + number})' for number in range(many))])}) || ' ' || "


def _represented(rows: Sequence[tuple[Any, ...]]) -> dict[int, int]:
    """The last of each kind represents all of its kind that were left out."""
    last = {kind: one for one, kind, _ in rows}
    return {one: left if last[kind] == one else 0 for one, kind, left in rows}
