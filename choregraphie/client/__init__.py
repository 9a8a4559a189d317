"""For programs that begin sagas: says events inside their own transactions, and waits for the outcome.

outbox.py           `say` writes an event to the outbox table, in the caller's own transaction
relay.py            `Relay` publishes the outbox, as a task of the caller's process or as a command
relay_database.py   the transactions of a relay, on a synchronous or an asynchronous engine
publishing.py       `publish` publishes an event at once, for a script without a database of its own
outcome.py          `outcome` waits until the saga has ended, by asking the monitor
"""

from choregraphie.client.outbox import create_outbox, say, say_async
from choregraphie.client.outcome import Outcome, outcome
from choregraphie.client.publishing import publish
from choregraphie.client.relay import Relay
from choregraphie.client.relay_session import Published
from choregraphie.errors import MonitorRefused, NobodyHears, OutcomeUnknown

__all__ = [
    "MonitorRefused",
    "NobodyHears",
    "Outcome",
    "OutcomeUnknown",
    "Published",
    "Relay",
    "create_outbox",
    "outcome",
    "publish",
    "say",
    "say_async",
]
