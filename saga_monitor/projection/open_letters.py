"""Dead letters that nobody has dealt with, each with what the history has of its instance."""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from choregraphie.saga.envelope import Instance
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent
from saga_monitor.analysis.messages import DeadLetter
from saga_monitor.projection.dead_letters import select_letters
from saga_monitor.projection.indexes import AMONG_SAGAS
from saga_monitor.projection.messages import HEARD, heard_of
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.schema import OF_INSTANCES

_OPEN = f"WHERE ended = '' AND (saga IS NULL OR {AMONG_SAGAS})"
_EVENTS = f"SELECT saga, key, {HEARD} FROM said JOIN instances USING (number) WHERE {OF_INSTANCES}"  # noqa: S608 - constants
_HELD = (
    "SELECT letter, \"by\", because FROM acts WHERE act = 'held' AND letter IN (SELECT value FROM json_each(?))"
    ' ORDER BY "offset"'
)


@dataclass(frozen=True, slots=True)
class OpenLetter:
    """`saga`: the events of its instance, None when it has none. `held`: who holds it and why, or empty."""

    letter: DeadLetter
    saga: EventsOfSaga | None
    held: str


def open_letters(queries: Queries, limit: int, saga: str | None = None) -> list[OpenLetter]:
    """The newest of that saga or of all, the newest first. Raises DatabaseRefused."""
    clause = f'{_OPEN} ORDER BY "offset" DESC LIMIT ?'
    return _with_events(queries, select_letters(queries, clause, json.dumps(queries.names_of(saga)), limit))


def with_events(queries: Queries, letter: DeadLetter) -> OpenLetter:
    """One letter with the events of its instance. Raises DatabaseRefused."""
    return _with_events(queries, [letter])[0]


def _with_events(queries: Queries, letters: Sequence[DeadLetter]) -> list[OpenLetter]:
    instances = {Instance(one.saga, one.key) for one in letters if one.saga and one.key}
    events, held = _events(queries, instances), _held(queries, {one.letter for one in letters})
    return [
        OpenLetter(one, events.get(Instance(one.saga or "", one.key or "")), held.get(one.letter, ""))
        for one in letters
    ]


def _events(queries: Queries, instances: Collection[Instance]) -> dict[Instance, EventsOfSaga]:
    heard: dict[Instance, list[HeardEvent]] = defaultdict(list)
    for saga, key, *row in queries.ask(_EVENTS, json.dumps(list(instances))):
        heard[Instance(saga, key)].append(heard_of(row))
    known = queries.sagas.by_name
    return {one: EventsOfSaga(known[one.saga], found) for one, found in heard.items() if one.saga in known}


def _held(queries: Queries, ids: Collection[str]) -> dict[str, str]:
    rows = queries.ask(_HELD, json.dumps(list(ids)))
    return {letter: f"{by}{f': {because}' if because else ''}" for letter, by, because in rows}
