"""The indexes of the table of orders, one for every list on a screen.

The first two and `orders_by_state` hold every order; the others hold what is in flight, is urgent, has a flag, or
has no beginning. The columns after those that a list is sorted by are there so that a filter and a count read the
index alone.
"""

import sqlite3
from collections.abc import Iterator

from saga_monitor.analysis.saga_state import Flag, State, has_beginning

# The SQL condition for orders: states for which `saga_state.has_beginning` is true. Anybody can create the others
# without end.
PLACED = " AND ".join(f"state != '{state}'" for state in State if not has_beginning(state))
UNKNOWN = f"NOT ({PLACED})"

_INDEXES = (
    "orders_recent ON orders (last_offset)",
    f"orders_placed ON orders (last_offset) WHERE {PLACED}",
    f"orders_unknown ON orders (urgent, last_offset) WHERE {UNKNOWN}",
    "orders_by_state ON orders (state, last_offset)",
    "orders_in_flight ON orders (last_offset) WHERE at_rest = 0",
    "orders_silent ON orders (quiet_since, commande_id, state) WHERE at_rest = 0",
    "orders_urgent ON orders (last_offset, at_rest, quiet_since) WHERE urgent = 1",
)


def has(flag: Flag) -> str:
    """The SQL condition that an order has `flag`. It must equal the condition of the flag's index."""
    return f"""instr(flags, '"{flag}"') > 0"""


def of_flag(flag: Flag) -> str:
    """The index of the orders with `flag`, by the offset of their last entry."""
    return f"orders_{flag.lower()}"


def index(connection: sqlite3.Connection) -> None:
    """Creates all indexes, within the caller's transaction."""
    for definition in (*_INDEXES, *_of_flags()):
        connection.execute(f"CREATE INDEX {definition}")


def _of_flags() -> Iterator[str]:
    # Each flag has an index of its own, because it may be rare among many orders with another flag. STUCK depends
    # on the clock and is not stored.
    for flag in (flag for flag in Flag if flag is not Flag.STUCK):
        yield f"{of_flag(flag)} ON orders (last_offset, state, at_rest) WHERE {has(flag)}"
