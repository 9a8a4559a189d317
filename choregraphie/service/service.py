"""A service: a name, its tables, and a table of reactions. Data only; the worker brings it to life."""

import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, MetaData, Select, bindparam

from choregraphie.saga.envelope import Event, Instance
from choregraphie.saga.topology import events, exchange_of
from choregraphie.service.circuit_breaker import CircuitBreaker
from choregraphie.service.column_types import Instant
from choregraphie.service.rows import Key, Row
from choregraphie.service.transaction import React, ReadView
from choregraphie.service.verdict import RetryOverride

# The keys of the rows that a reaction reads. In a chain, a later function may use the rows of the earlier ones.
Reads = Callable[[Any, ReadView], Iterable[Key]]
Call = Callable[..., Any]
Migration = Callable[[Connection], None]


# The current time, as the parameter of the query of a schedule.
NOW = bindparam("now", type_=Instant)


@dataclass(frozen=True)
class Handler:
    """A reaction: when all of `hears` were heard, call `do`. Created by `on()`."""

    hears: tuple[type[Event], ...]
    do: React
    reads: tuple[Reads, ...] = ()
    gives_up: type[Event] | None = None
    undoes: tuple[React, ...] = ()
    call: Call | None = None
    retry: RetryOverride = field(default_factory=RetryOverride)
    breaker: CircuitBreaker | None = None

    @cached_property
    def action(self) -> str:
        """Its name in the journal."""
        return self.do.__name__

    def heard_class(self, type_: str) -> type[Event] | None:
        """The class of the events of wire type `type_` that it hears, or None."""
        return self._heard_by_type.get(type_)

    @cached_property
    def _heard_by_type(self) -> dict[str, type[Event]]:
        return {heard.TYPE: heard for heard in reversed(self.hears)}

    @cached_property
    def joins(self) -> bool:
        """Whether it waits for several events."""
        return len(self.hears) > 1

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

    def instance_of(self, row: Row) -> Instance:
        """The saga instance that a row belongs to."""
        return Instance(self._about.SAGA, getattr(row, self._about.KEY))

    @cached_property
    def _about(self) -> type[Event]:
        return min(self.says(), key=lambda said: said.TYPE)


@dataclass(frozen=True)
class Forget:
    """Forgets the rows of `of` that belong to no instance: those with the keys that the query `due` selects.

    `about` is an event class of their saga: its KEY names their column. The parameter `NOW` of `due` is the time
    before which no message can still arrive. A row that a constraint or trigger keeps is tried once an hour.
    """

    about: type[Event]
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


def on(  # noqa: PLR0913 - a declaration, of which all but two are named
    hears: type[Event] | tuple[type[Event], ...],
    do: React,
    *,
    reads: Reads | tuple[Reads, ...] = (),
    gives_up: type[Event] | None = None,
    undoes: React | tuple[React, ...] = (),
    call: Call | None = None,
    retry: RetryOverride | None = None,
    breaker: CircuitBreaker | None = None,
) -> Handler:
    """On hearing `hears`, execute `do` once per instance, in a transaction.

    Of a tuple of events, all must be heard: `do`, its `reads` and its `call` receive them as a tuple, in that
    order. Those that come first are kept, and none of them has an effect once the reaction was undone.

    `reads` gives the keys of the rows that it reads; in a chain, each may use the rows of those before. `gives_up`
    is the refusal that is published when its retries are exhausted. `undoes` names the reactions that it undoes.
    `call` is an async function that runs before the transaction; `do` receives its answer. `retry` gives the
    reaction other tries than the settings. `breaker` holds the service's inbox while what `call` needs is down.
    """
    undone = undoes if isinstance(undoes, tuple) else (undoes,)
    awaited = hears if isinstance(hears, tuple) else (hears,)
    return Handler(awaited, do, _chain(reads), gives_up, undone, call, retry or RetryOverride(), breaker)


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

    The row must have the key of the saga whose events `do` says, and a `cause`: the id of the event that created
    it, or None. Raises TypeError when `do` says nothing.
    """
    if not said_by(do):
        raise TypeError(f"{do.__name__} says nothing: what is done on time must be said")
    return Schedule(seconds, do, of, due, _chain(reads))


@dataclass(frozen=True)
class Service:
    """A service as its worker runs it.

    seed        turns the catalogue into the first rows of an empty database
    inspect     reads the business state
    migrations  the changes of its tables since version 1, in order
    externals   given the settings, opens what its calls connect to (a gateway, a carrier), for the worker's life
    check       raises ResourceShortage when calls cannot work for want of something of the worker's own (a folder)
    cancelled   for the decider, returns the instances that it has cancelled; a generator is read page by page
    forgets     names the rows of instances that never existed
    orchestration  its second table: the commands that it hears where an orchestrator leads
    canvas      its first page: what it hears, says and owns
    foreign     it is written elsewhere and run by others: its name and its canvas are all that is given here
    """

    name: str
    reactions: tuple[Handler, ...] = ()
    tables: MetaData = field(default_factory=MetaData)
    inspect: Callable[[Connection], dict[str, Any]] = lambda connection: {}
    timed: tuple[Schedule, ...] = ()
    forgets: tuple[Forget, ...] = ()
    seed: Callable[[Mapping[str, Any]], Iterable[Row]] = lambda catalogue: ()
    migrations: tuple[Migration, ...] = ()
    externals: Callable[[Any], AbstractAsyncContextManager[Any]] | None = None
    check: Callable[[Any], Awaitable[None]] | None = None
    cancelled: Callable[[Connection], Iterable[Instance]] = lambda connection: ()
    orchestration: tuple[Handler, ...] = ()
    canvas: str = ""
    foreign: bool = False

    def orchestrated(self) -> "Service":
        """The same service by its second table; what only a choreography needs (its clock) is left out."""
        return replace(self, reactions=self.orchestration, timed=(), forgets=())

    def on(self, type_: str) -> Handler | None:
        """The handler of events of the wire type `type_`, or None."""
        return self._by_type.get(type_)

    def reactions_of(self, saga: str) -> list[Handler]:
        """The handlers of the events of that saga."""
        return [handler for handler in self.reactions if saga == handler.hears[0].SAGA]

    def exchange_for(self, type_: str) -> str:
        """The exchange to which the service publishes events of wire type `type_`."""
        return self._exchanges.get(type_, events(self.name))

    @cached_property
    def _exchanges(self) -> dict[str, str]:
        lines: tuple[Handler | Schedule, ...] = (*self.reactions, *self.timed)
        said = (event for line in lines for event in line.says())
        return {event.TYPE: exchange_of(event) for event in said if event.SAID_TO}

    @cached_property
    def own_delays(self) -> tuple[float, ...]:
        """The retry delays that its reactions declare, each once."""
        return tuple(dict.fromkeys(delay for handler in self.reactions for delay in handler.retry.delays))

    def undone_by(self, handler: Handler) -> list[type[Event]]:
        """The events whose reactions `handler` undoes."""
        return [event for other in self.reactions if other.do in handler.undoes for event in other.hears]

    @cached_property
    def _by_type(self) -> dict[str, Handler]:
        return {heard.TYPE: handler for handler in reversed(self.reactions) for heard in handler.hears}
