"""Full-text search of instances by key, searched data fields and the day on which they began.

The text is folded (no capitals, no accents) and indexed by its trigrams with SQLite's FTS5, so that any part of it
is found as fast among a million instances as among ten. A Python whose SQLite has no FTS5 reads through the texts
instead: of a million instances in some 0.2 s.
"""

import datetime as dt
import json
import sqlite3
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from choregraphie.terminal.arguments import day_of
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.projection.indexes import AMONG_SAGAS, OF_SAGA, has, held_now, stuck_now

# The most values kept of an instance, so that a client which never stops cannot grow its text without end.
MOST_VALUES = 50
LONGEST_SEARCH = 200
# If fewer than one in this many instances pass a filter, they are scanned; otherwise the matches of the index are.
FEW_OF = 200
# A text of one or two characters has no trigram and is searched in this many of the last instances.
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
    """A parsed search: one of `texts` (folded) must occur in an instance's text."""

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
    # SQLite ends a text at a NUL and cannot bind a lone surrogate; line breaks separate an instance's values.
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
    """What a search can find of an instance: its key, the day it began (UTC), the values of its new events."""

    key: str
    began: dt.date
    values: tuple[str, ...]


def keep(connection: sqlite3.Connection, instances: Mapping[int, SearchEntry], among: Iterable[int]) -> None:
    """Saves the texts of `instances`, by number, within the caller's transaction.

    `among`: the numbers that may have a text already.
    """
    known = dict(
        connection.execute(
            "SELECT rowid, text FROM search WHERE rowid IN (SELECT value FROM json_each(?))",
            (json.dumps(list(among)),),
        ).fetchall()
    )
    texts = {number: _text(instance, known.get(number, "")) for number, instance in instances.items()}
    # By rising number: FTS5 writes out what it has in memory whenever a number is below the one before it, which
    # took a third of the time of a batch.
    changed = sorted((number, text) for number, text in texts.items() if text != known.get(number))
    connection.executemany("INSERT OR REPLACE INTO search (rowid, text) VALUES (?, ?)", changed)


def forget(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Deletes the texts of these instances, within the caller's transaction."""
    connection.executemany("DELETE FROM search WHERE rowid = ?", [(number,) for number in numbers])


def values_in(text: str) -> tuple[str, ...]:
    """The values in an instance's text."""
    return tuple(text.split("\n")[2:])


def _text(instance: SearchEntry, known: str) -> str:
    values = dict.fromkeys((*values_in(known), *(fold(value).replace("\n", " ") for value in instance.values)))
    return "\n".join(
        (_day_text(instance.began), fold(instance.key).replace("\n", " "), *list(values)[:MOST_VALUES])
    )


def _grams(text: str) -> list[str]:
    found = dict.fromkeys(text[place : place + _GRAM] for place in range(len(text) - _GRAM + 1))
    return [f'"{gram.replace(chr(34), chr(34) * 2)}"' for gram in list(found)[:_MOST_GRAMS]]


def _day_text(day: dt.date) -> str:
    # Each position has its own characters, so that no day matches inside another.
    number = day.toordinal()
    places = (number // _BASE // _BASE, number // _BASE % _BASE, number % _BASE)
    return "".join(chr(_PRIVATE + 2 * _BASE * place + digit) for place, digit in enumerate(places))


@dataclass(frozen=True, slots=True)
class InstanceFilter:
    """A filter: instances in `state`, with `flag`, in flight, in need of a person, of one saga."""

    state: State | None = None
    flag: Flag | None = None
    in_flight: bool = False
    needs_attention: bool = False
    saga: str | None = None


@dataclass(frozen=True, slots=True)
class ListPosition:
    """A position in a list: next to the instance `number`, towards older or (`backwards`) newer instances."""

    number: int | None = None
    backwards: bool = False


FIRST = ListPosition()


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL clauses over an instance's columns, all of which must hold, and their values."""

    clauses: Sequence[str] = ()
    values: Sequence[object] = field(default=())


def condition_of(only: InstanceFilter, silent_since: int | None, held: str, sagas: Sequence[str]) -> Condition:
    """The filter `only` in SQL, among the instances of `sagas`.

    `silent_since`: an instance that was last heard before it is stuck, unless it is `held`.
    """
    silent = (silent_since, held)
    asked: list[tuple[str, tuple[object, ...]]] = []
    if only.flag is Flag.STUCK:
        asked.append((stuck_now(), silent))
    elif only.flag is Flag.HELD:
        asked.append((held_now(), (held,)))
    elif only.flag:
        asked.append((has(only.flag), ()))
    if only.in_flight:
        asked.append(("at_rest = 0", ()))
    if only.needs_attention:
        asked.append((f"(urgent = 1 OR {stuck_now()})", silent))
    if only.state:
        asked.append(("state = ?", (only.state,)))
    if only.saga and not (only.flag or only.in_flight or only.needs_attention):
        asked.append((OF_SAGA, (only.saga,)))
    else:
        asked.append((AMONG_SAGAS, (json.dumps(sagas),)))
    return Condition([sql for sql, _ in asked], [value for _, values in asked for value in values])


def numbers_of(
    connection: sqlite3.Connection,
    wanted: SearchTerms,
    only: Condition,
    few: bool,
    place: ListPosition,
    limit: int,
) -> list[int]:
    """The numbers of at most `limit` instances that match, starting at `place`."""
    if few:
        return _of_few(connection, wanted, only, place, limit)
    clauses, values = [wanted.condition, *only.clauses], [*wanted.texts, *only.values]
    if is_indexed(connection):
        if wanted.match:
            clauses, values = ["search MATCH ?", *clauses], [wanted.match, *values]
        else:
            clauses.append("search.rowid > (SELECT max(number) FROM instances) - ?")
            values.append(SHORT_LOOKS_AT)
    if place.number is not None:
        clauses.append(f"search.rowid {'>' if place.backwards else '<'} ?")
        values.append(place.number)
    # CROSS JOIN fixes the order of the tables: find by text, then look up by number.
    rising = "ASC" if place.backwards else "DESC"
    question = (
        "SELECT search.rowid FROM search CROSS JOIN instances ON instances.number = search.rowid"  # noqa: S608 - constants
        f" WHERE {' AND '.join(clauses)} ORDER BY search.rowid {rising} LIMIT ?"
    )
    return [number for (number,) in connection.execute(question, (*values, limit))]


def _of_few(
    connection: sqlite3.Connection, wanted: SearchTerms, only: Condition, place: ListPosition, limit: int
) -> list[int]:
    question = (
        f"SELECT number FROM instances CROSS JOIN search ON search.rowid = number"  # noqa: S608 - as above
        f" WHERE {' AND '.join([*only.clauses, wanted.condition])}"
    )
    rows = connection.execute(question, (*only.values, *wanted.texts))
    found = sorted((number for (number,) in rows), reverse=not place.backwards)
    if place.number is not None:
        found = [n for n in found if (n > place.number if place.backwards else n < place.number)]
    return found[:limit]
