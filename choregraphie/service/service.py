"""A service: a name, its tables, and a table of reactions. Data only; the worker brings it to life."""

import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, MetaData, Select, bindparam

from choregraphie.saga.envelope import Event
from choregraphie.service.column_types import Instant
from choregraphie.service.rows import Key, Row
from choregraphie.service.transaction import React, ReadView
from choregraphie.service.verdict import RetryPolicy

if TYPE_CHECKING:
    from choregraphie.settings import Settings

# The keys of the rows that a reaction reads. In a chain, a later function may use the rows of the earlier ones.
Reads = Callable[[Any, ReadView], Iterable[Key]]
Call = Callable[..., Any]
Migration = Callable[[Connection], None]


# The current time, as the parameter of the query of a schedule.
NOW = bindparam("now", type_=Instant)


@dataclass(frozen=True)
class RetryOverride:
    """Fewer tries for a reaction than the settings give: `tries` in all, and no retry queue for the errors in
    `never`.

    Each error still gets an immediate second try, when the deliveries of the failed group are executed one by one.
    """

    tries: int | None = None
    never: tuple[type[Exception], ...] = ()

    def policy(self, delays: tuple[float, ...]) -> RetryPolicy:
        """The retry policy of the reaction under the settings' `delays` (seconds)."""
        tries = len(delays) + 1 if self.tries is None else max(1, self.tries)
        return RetryPolicy(delays[: tries - 1], self.never)


@dataclass(frozen=True)
class Handler:
    """A reaction to an event: on hearing `hears`, call `do`. Created by `on()`."""

    hears: type[Event]
    do: React
    reads: tuple[Reads, ...] = ()
    gives_up: type[Event] | None = None
    undoes: tuple[React, ...] = ()
    call: Call | None = None
    retry: RetryOverride = RetryOverride()

    @cached_property
    def action(self) -> str:
        """Its name in the journal."""
        return self.do.__name__

    def says(self) -> frozenset[type[Event]]:
        """The events of its return annotation: its part of the choreography."""
        return said_by(self.do)


@dataclass(frozen=True)
class Schedule:
    """A timed reaction: every `seconds`, call `do` for each row that is `due`. Created by `every()`."""

    seconds: float
    do: React
    of: type[Row]
    due: Select[Any]
    reads: tuple[Reads, ...] = ()

    @cached_property
    def action(self) -> str:
        return self.do.__name__

    def says(self) -> frozenset[type[Event]]:
        return said_by(self.do)


@dataclass(frozen=True)
class Forget:
    """Forgets the rows of `of` that belong to no order: those whose `commande_id` the query `due` selects.

    The parameter `NOW` of `due` is the time before which no message can still arrive.
    """

    of: type[Row]
    due: Select[Any]


def said_by(do: React) -> frozenset[type[Event]]:
    """The event classes in `Iterator[A | B]`; none for `Iterator[Never]`."""
    (inside,) = typing.get_args(typing.get_type_hints(do)["return"])
    if inside is typing.Never:
        return frozenset()
    return frozenset(typing.get_args(inside) or (inside,))


def _chain(reads: Reads | tuple[Reads, ...]) -> tuple[Reads, ...]:
    return reads if isinstance(reads, tuple) else (reads,)


def on(
    hears: type[Event],
    do: React,
    *,
    reads: Reads | tuple[Reads, ...] = (),
    gives_up: type[Event] | None = None,
    undoes: React | tuple[React, ...] = (),
    call: Call | None = None,
    retry: RetryOverride | None = None,
) -> Handler:
    """On hearing `hears`, execute `do` once per order, in a transaction.

    `reads` gives the keys of the rows that it reads; in a chain, each may use the rows of those before. `gives_up`
    is the refusal that is published when its retries are exhausted. `undoes` names the reactions that it undoes.
    `call` is an async function that runs before the transaction; `do` receives its answer. `retry` gives the
    reaction fewer tries than the settings.
    """
    undone = undoes if isinstance(undoes, tuple) else (undoes,)
    return Handler(hears, do, _chain(reads), gives_up, undone, call, retry or RetryOverride())


def every(
    seconds: float,
    do: React,
    *,
    of: type[Row],
    due: Select[Any],
    reads: Reads | tuple[Reads, ...] = (),
) -> Schedule:
    """Every `seconds`, execute `do` for each row of `of` whose primary key `due` selects.

    The parameter `NOW` of `due` is the current time.

    The row must have a `commande_id`, and a `cause`: the id of the event that created it, or None.
    """
    return Schedule(seconds, do, of, due, _chain(reads))


@dataclass(frozen=True)
class Service:
    """A service as its worker runs it.

    `seed` turns the catalogue into the first rows of an empty database. `inspect` reads the business state.
    `migrations` are the changes of its tables since version 1, in order. `externals` opens what its calls connect
    to (a gateway, a carrier) for the life of the worker. `check` raises ResourceShortage when calls cannot work
    because of something that is the worker's own (a folder). `cancelled`, for the decider, returns the orders that
    it has cancelled. `forgets` names the rows of orders that never existed.
    """

    name: str
    reactions: tuple[Handler, ...]
    tables: MetaData
    inspect: Callable[[Connection], dict[str, Any]]
    timed: tuple[Schedule, ...] = ()
    forgets: tuple[Forget, ...] = ()
    seed: Callable[[Mapping[str, Any]], Iterable[Row]] = lambda catalogue: ()
    migrations: tuple[Migration, ...] = ()
    externals: "Callable[[Settings], AbstractAsyncContextManager[Any]] | None" = None
    check: Callable[[Any], Awaitable[None]] | None = None
    cancelled: Callable[[Connection], list[str]] = lambda connection: []

    def on(self, type_: str) -> Handler | None:
        """The handler of events of the wire type `type_`, or None."""
        return self._by_type.get(type_)

    @cached_property
    def _by_type(self) -> dict[str, Handler]:
        return {handler.hears.TYPE: handler for handler in reversed(self.reactions)}
