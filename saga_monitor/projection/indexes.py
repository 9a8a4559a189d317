"""The indexes of the table of instances, one for every list on a screen.

The first two and `instances_by_state` hold every instance; the others hold what is in flight, is urgent, has a
flag, or has no beginning. The columns after those that a list is sorted by are there so that a filter and a count
read the index alone.
"""

import sqlite3
from collections.abc import Iterator

from saga_monitor.analysis.saga_state import Flag, State, has_beginning

# The SQL condition for states of which `saga_state.has_beginning` is true. Anybody can create the others without
# end.
PLACED = " AND ".join(f"state != '{state}'" for state in State if not has_beginning(state))
UNKNOWN = f"NOT ({PLACED})"

# The SQL condition of the instances of a saga; and of several sagas, named as JSON, beside a condition that has an
# index of its own, which the planner would leave for that of the saga, although it holds far fewer.
OF_SAGA = "saga = ?"
OF_SAGAS = "+saga IN (SELECT value FROM json_each({}))"
AMONG_SAGAS = OF_SAGAS.format("?")

_INDEXES = (
    "instances_recent ON instances (last_offset)",
    f"instances_placed ON instances (last_offset) WHERE {PLACED}",
    f"instances_unknown ON instances (urgent, last_offset) WHERE {UNKNOWN}",
    "instances_by_state ON instances (state, last_offset)",
    "instances_in_flight ON instances (last_offset, saga) WHERE at_rest = 0",
    "instances_silent ON instances (quiet_since, key, saga, state) WHERE at_rest = 0",
    "instances_urgent ON instances (last_offset, saga, at_rest, quiet_since) WHERE urgent = 1",
)

# The lists of one saga out of several: without these, a rare one would be looked for among all the others.
_OF_SAGAS = (
    f"instances_of_saga ON instances (saga, last_offset) WHERE {PLACED}",
    "instances_of_saga_by_state ON instances (saga, state, last_offset)",
)


def has(flag: Flag) -> str:
    """The SQL condition that an instance has `flag`. It must equal the condition of the flag's index."""
    return f"""instr(flags, '"{flag}"') > 0"""


# Of an instance whose step is held. One that needs a person does not wait for an external system alone.
_WAITS_FOR = (
    "json_extract(held.value, '$[0]') = instances.saga AND instr(steps, json_extract(held.value, '$[1]')) > 0"
)
_HELD = (
    f"(NOT {has(Flag.INTERVENTION)}"  # noqa: S608 - constants
    f" AND EXISTS (SELECT 1 FROM json_each({{}}) AS held WHERE {_WAITS_FOR}))"
)


def held_now(steps: str = "?") -> str:
    """The SQL condition of the instances that are held. `steps`: the parameter for `holds.HeldSteps.as_json`."""
    return f"at_rest = 0 AND {_HELD.format(steps)}"


def stuck_now(silent_since: str = "?", steps: str = "?") -> str:
    """That of the stuck ones: silent since before a time, and not held, as `saga_state.is_stuck` decides."""
    return f"at_rest = 0 AND quiet_since < {silent_since} AND NOT {_HELD.format(steps)}"


def of_flag(flag: Flag) -> str:
    """The index of the instances with `flag`, by the offset of their last entry."""
    return f"instances_{flag.lower()}"


def index(connection: sqlite3.Connection) -> None:
    """Creates all indexes, within the caller's transaction."""
    for definition in (*_INDEXES, *_of_flags()):
        connection.execute(f"CREATE INDEX {definition}")


def index_sagas(connection: sqlite3.Connection) -> None:
    """Creates the indexes that only several sagas need, unless they exist."""
    for definition in _OF_SAGAS:
        connection.execute(f"CREATE INDEX IF NOT EXISTS {definition}")


def _of_flags() -> Iterator[str]:
    # Each flag has an index of its own, because it may be rare among many with another flag. HELD and STUCK
    # depend on the clock and are not stored.
    for flag in (flag for flag in Flag if flag not in (Flag.HELD, Flag.STUCK)):
        yield f"{of_flag(flag)} ON instances (last_offset, saga, state, at_rest) WHERE {has(flag)}"
