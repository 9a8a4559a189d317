"""Full-text search of orders by key, searched data fields and the day on which they began.

The text is folded (no capitals, no accents) and indexed by its trigrams with SQLite's FTS5, so that any part of it
is found as fast among a million orders as among ten. A Python whose SQLite has no FTS5 reads through the texts
instead: of a million orders in some 0.2 s.
"""

import datetime as dt
import json
import sqlite3
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from choregraphie.terminal.arguments import day_of
from saga_monitor.analysis.saga_state import Flag, State

# The most values kept of an order, so that a client which never stops cannot grow its text without end.
MOST_VALUES = 50
LONGEST_SEARCH = 200
# If fewer than one in this many orders pass a filter, they are scanned; otherwise the matches of the index are.
FEW_OF = 200
# A text of one or two characters has no trigram and is searched in this many of the last orders.
SHORT_LOOKS_AT = 100_000
_GRAM = 3
# More trigrams than this do not narrow a search; the whole text is compared anyway.
_MOST_GRAMS = 40
_TRIGRAMS = (
    "CREATE VIRTUAL TABLE search USING fts5(text, tokenize='trigram case_sensitive 1', detail=none, columnsize=0)"
)
# A day is kept as a trigram of private-use characters, so that it never matches a part of a key.
_PRIVATE, _BASE = 0xE000, 80


@dataclass(frozen=True, slots=True)
class SearchTerms:
    """A parsed search: one of `texts` (folded) must occur in an order's text."""

    texts: tuple[str, ...]

    @property
    def condition(self) -> str:
        """SQL that one of the texts occurs in `search.text`, with a parameter for each text."""
        return f"({' OR '.join('instr(search.text, ?) > 0' for _ in self.texts)})"

    @property
    def match(self) -> str | None:
        """The same as an index query, which finds a few more; None when a text is too short for the index."""
        if any(len(text) < _GRAM for text in self.texts):
            return None
        return " OR ".join(f"({' AND '.join(_grams(text))})" for text in self.texts)


def parse_search(text: str, now: dt.datetime) -> SearchTerms | None:
    """Parses a search: a part of a text and, if it names one, a day (UTC). None when nothing can match."""
    part = fold(text.strip())
    # SQLite ends a text at a NUL and cannot bind a lone surrogate; line breaks separate an order's values.
    if not part or any(c in "\x00\n" or "\ud800" <= c <= "\udfff" for c in part):
        return None
    day = day_of(part, now)
    return SearchTerms((part,) if day is None else (part, _day_text(day)))


def fold(text: str) -> str:
    """`text` in lower case and without accents."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in parts if not unicodedata.combining(c)).casefold()


def create(connection: sqlite3.Connection) -> None:
    """Creates the table, within the caller's transaction."""
    try:
        connection.execute(_TRIGRAMS)
    except sqlite3.OperationalError:
        connection.execute("CREATE TABLE search (rowid INTEGER PRIMARY KEY, text TEXT NOT NULL)")


def is_indexed(connection: sqlite3.Connection) -> bool:
    """Whether the table has a trigram index."""
    ((sql,),) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'search'").fetchall()
    return str(sql).upper().startswith("CREATE VIRTUAL")


@dataclass(frozen=True, slots=True)
class SearchEntry:
    """What a search can find of an order: its key, the day it began (UTC), the values of its new events."""

    key: str
    began: dt.date
    values: tuple[str, ...]


def keep(connection: sqlite3.Connection, orders: Mapping[int, SearchEntry]) -> None:
    """Saves the texts of `orders`, by number, within the caller's transaction."""
    known = dict(
        connection.execute(
            "SELECT rowid, text FROM search WHERE rowid IN (SELECT value FROM json_each(?))",
            (json.dumps(list(orders)),),
        ).fetchall()
    )
    texts = {number: _text(order, known.get(number, "")) for number, order in orders.items()}
    changed = {number: text for number, text in texts.items() if text != known.get(number)}
    connection.executemany("DELETE FROM search WHERE rowid = ?", [(n,) for n in changed if n in known])
    connection.executemany("INSERT INTO search (rowid, text) VALUES (?, ?)", list(changed.items()))


def forget(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Deletes the texts of these orders, within the caller's transaction."""
    connection.executemany("DELETE FROM search WHERE rowid = ?", [(number,) for number in numbers])


def values_in(text: str) -> tuple[str, ...]:
    """The values in an order's text."""
    return tuple(text.split("\n")[2:])


def _text(order: SearchEntry, known: str) -> str:
    values = dict.fromkeys((*values_in(known), *(fold(value).replace("\n", " ") for value in order.values)))
    return "\n".join((_day_text(order.began), fold(order.key).replace("\n", " "), *list(values)[:MOST_VALUES]))


def _grams(text: str) -> list[str]:
    found = dict.fromkeys(text[place : place + _GRAM] for place in range(len(text) - _GRAM + 1))
    return [f'"{gram.replace(chr(34), chr(34) * 2)}"' for gram in list(found)[:_MOST_GRAMS]]


def _day_text(day: dt.date) -> str:
    # Each position has its own characters, so that no day matches inside another.
    number = day.toordinal()
    places = (number // _BASE // _BASE, number // _BASE % _BASE, number % _BASE)
    return "".join(chr(_PRIVATE + 2 * _BASE * place + digit) for place, digit in enumerate(places))


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """A filter: orders in `state`, with `flag`, in flight, or in need of a person."""

    state: State | None = None
    flag: Flag | None = None
    in_flight: bool = False
    troubled: bool = False


@dataclass(frozen=True, slots=True)
class ListPosition:
    """A position in a list: next to the order `number`, towards older or (`backwards`) newer orders."""

    number: int | None = None
    backwards: bool = False


FIRST = ListPosition()


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL conditions over an order's columns, all of which must hold, and their values."""

    terms: Sequence[str] = ()
    values: Sequence[object] = field(default=())


def numbers_of(
    connection: sqlite3.Connection,
    wanted: SearchTerms,
    only: Condition,
    few: bool,
    place: ListPosition,
    limit: int,
) -> list[int]:
    """The numbers of at most `limit` orders that match, starting at `place`."""
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
    # CROSS JOIN fixes the order of the tables: find by text, then look up by number.
    tables = "search CROSS JOIN orders ON orders.number = search.rowid" if only.terms else "search"
    rising = "ASC" if place.backwards else "DESC"
    question = (
        f"SELECT search.rowid FROM {tables} WHERE {' AND '.join(terms)}"  # noqa: S608 - constants; values are bound
        f" ORDER BY search.rowid {rising} LIMIT ?"
    )
    return [number for (number,) in connection.execute(question, (*values, limit))]


def _of_few(
    connection: sqlite3.Connection, wanted: SearchTerms, only: Condition, place: ListPosition, limit: int
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
