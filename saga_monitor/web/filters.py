"""Reads the filters of a list of instances from the parameters of its address."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urlencode

from choregraphie.saga.saga_set import SagaSet
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.projection.search import LONGEST_SEARCH, InstanceFilter

IN_FLIGHT = "IN_FLIGHT"
STATES = (IN_FLIGHT, *State)
PAGE, LARGEST_PAGE = 50, 200
LONGEST_ID = 100
_NUMBER = re.compile(r"-?[0-9]{1,18}")
_NAMES = ("saga", "state", "flag", "q", "after", "before", "limit")


class BadRequestError(Exception):
    """A parameter cannot be used. Its text is one line: which one, and what is accepted."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in a list: the sort values of the instance next to it."""

    direction: Literal["after", "before"]
    values: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Filters:
    """`saga`: its name. `q`: a search text.

    Searches are sorted by beginning, STUCK instances by silence, other lists by last event.
    """

    saga: str = ""
    state: str = ""
    flag: str = ""
    q: str = ""
    cursor: Cursor | None = None
    limit: int = PAGE

    @property
    def active(self) -> bool:
        return bool(self.saga or self.state or self.flag or self.q)

    @property
    def only_these(self) -> InstanceFilter:
        """Which instances are listed."""
        in_flight = self.state == IN_FLIGHT
        state = State(self.state) if self.state and not in_flight else None
        flag = Flag(self.flag) if self.flag else None
        return InstanceFilter(state, flag, in_flight, saga=self.saga or None)

    def at(self, cursor: Cursor | None) -> "Filters":
        return replace(self, cursor=cursor)

    def only(self, **changed: Any) -> "Filters":
        """These filters with some replaced, from the first page on."""
        return replace(self, cursor=None, **changed)

    def address(self, path: str = "/") -> str:
        """The path and query of this list."""
        given = {"saga": self.saga, "state": self.state, "flag": self.flag, "q": self.q}
        if self.cursor:
            given[self.cursor.direction] = "~".join(map(str, self.cursor.values))
        if self.limit != PAGE:
            given["limit"] = str(self.limit)
        query = urlencode({name: value for name, value in given.items() if value})
        return f"{path}?{query}" if query else path


def read_filters(parameters: Mapping[str, str], sagas: SagaSet) -> Filters:
    """Raises BadRequestError for an unknown parameter or a value that is not accepted."""
    known(parameters, _NAMES)
    if "after" in parameters and "before" in parameters:
        raise BadRequestError("after and before exclude each other")
    plain = Filters(
        saga=read_saga(parameters, sagas),
        state=chosen("state", parameters.get("state", ""), STATES),
        flag=chosen("flag", parameters.get("flag", ""), tuple(Flag)),
        q=_search(parameters.get("q", "")),
        limit=_limit(parameters.get("limit", "")),
    )
    directions: tuple[Literal["after", "before"], ...] = ("after", "before")
    for direction in directions:
        if parameters.get(direction):
            return plain.at(Cursor(direction, _place(direction, parameters[direction], plain)))
    return plain


def known(parameters: Iterable[str], names: Iterable[str]) -> None:
    """Raises BadRequestError for a parameter that is not in `names`."""
    allowed = tuple(names)
    for name in parameters:
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(allowed) or 'none'}"
            raise BadRequestError(f"{name[:LONGEST_ID]} is not a parameter{hint}")


def read_saga(parameters: Mapping[str, str], sagas: SagaSet) -> str:
    """The name of a saga in the parameters, or "". Raises BadRequestError for one that is not declared."""
    name = parameters.get("saga", "")
    if name and name not in sagas.by_name:
        raise BadRequestError(f"saga: expected one of {', '.join(sagas.by_name)}")
    return name


def chosen(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """`value` in capitals, or "". Raises BadRequestError when it is not in `allowed`."""
    if value.upper() not in ("", *allowed):
        raise BadRequestError(f"{name}: expected one of {', '.join(allowed)}")
    return value.upper()


def _search(text: str) -> str:
    found = text.strip()
    if len(found) > LONGEST_SEARCH:
        raise BadRequestError(f"q: a search has at most {LONGEST_SEARCH} characters")
    # SQLite ends a text at NUL and cannot store a lone surrogate.
    if "\x00" in found or any("\ud800" <= c <= "\udfff" for c in found):
        raise BadRequestError("q: no key holds such a character")
    return found


def _limit(text: str) -> int:
    if not text:
        return PAGE
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= LARGEST_PAGE):
        raise BadRequestError(f"limit: expected a whole number from 1 to {LARGEST_PAGE}")
    return int(text[:9])


def _place(name: str, text: str, filters: Filters) -> tuple[int | str, ...]:
    by_silence = filters.flag == Flag.STUCK and not filters.q
    # A list by silence is also sorted by key and saga; a key may hold the separator, a saga's name does not.
    number, *rest = text.split("~", 1) if by_silence else [text]
    rest = rest[0].rsplit("~", 1) if rest else []
    if len(rest) != (2 if by_silence else 0) or not _NUMBER.fullmatch(number):
        raise BadRequestError(f"{name}: not a place in this list; begin again without it")
    return (int(number), *rest)
