"""Finds orders by text, within a state or flag, one page at a time."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.projection.search import Sought, is_indexed

# Where fewer than one in so many orders pass a filter, they are looked through; else the finds of the index are.
FEW_OF = 200

# A text of one or two characters has no trigram: it is looked for in so many of the orders, the last to begin.
SHORT_LOOKS_AT = 100_000


@dataclass(frozen=True, slots=True)
class Only:
    """Which orders are wanted: in that state, with that flag, awaiting something, or for a person to look at."""

    state: State | None = None
    flag: Flag | None = None
    in_flight: bool = False
    troubled: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a list: beside the order of that number, towards the older or, `backwards`, the newer."""

    number: int | None = None
    backwards: bool = False


FIRST = Place()


@dataclass(frozen=True, slots=True)
class Condition:
    """Terms of an order's columns in SQL, all of which must hold, and the values that they bind."""

    terms: Sequence[str] = ()
    values: Sequence[object] = field(default=())


def numbers_of(
    connection: sqlite3.Connection, wanted: Sought, only: Condition, few: bool, place: Place, limit: int
) -> list[int]:
    """The numbers of at most `limit` orders that `wanted` finds, those beside `place` first."""
    if few:
        return _of_few(connection, wanted, only, place, limit)
    terms, values = [wanted.condition, *only.terms], [*wanted.texts, *only.values]
    if is_indexed(connection):
        if wanted.match:
            terms, values = ["search MATCH ?", *terms], [wanted.match, *values]
        else:
            terms.append("search.rowid > (SELECT max(number) FROM orders) - ?")
            values.append(SHORT_LOOKS_AT)
    if place.number is not None:
        terms.append(f"search.rowid {'>' if place.backwards else '<'} ?")
        values.append(place.number)
    # CROSS JOIN keeps the order of the tables: found by text, then looked up by number.
    tables = "search CROSS JOIN orders ON orders.number = search.rowid" if only.terms else "search"
    rising = "ASC" if place.backwards else "DESC"
    question = (
        f"SELECT search.rowid FROM {tables} WHERE {' AND '.join(terms)}"  # noqa: S608 - constants; values are bound
        f" ORDER BY search.rowid {rising} LIMIT ?"
    )
    return [number for (number,) in connection.execute(question, (*values, limit))]


def _of_few(
    connection: sqlite3.Connection, wanted: Sought, only: Condition, place: Place, limit: int
) -> list[int]:
    question = (
        f"SELECT number FROM orders CROSS JOIN search ON search.rowid = number"  # noqa: S608 - as above
        f" WHERE {' AND '.join([*only.terms, wanted.condition])}"
    )
    rows = connection.execute(question, (*only.values, *wanted.texts))
    found = sorted((number for (number,) in rows), reverse=not place.backwards)
    if place.number is not None:
        found = [n for n in found if (n > place.number if place.backwards else n < place.number)]
    return found[:limit]
