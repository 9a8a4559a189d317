"""The order saga, for tests of the monitor: the monitor is told which sagas it shows."""

from collections.abc import Iterable, Sequence

from choregraphie.saga.envelope import Instance
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis import saga_state
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.analysis.saga_state import HeardEvent, Progress
from saga_monitor.records.parser import EntryParser
from services.application import APP

SAGAS = APP.saga_set
COMMAND = APP.command
PARSER = EntryParser(SAGAS)


def order_with(key: str) -> Instance:
    """The order with that key."""
    return Instance(CHOREOGRAPHY.name, key)


def evaluate(
    events: Iterable[HeardEvent], set_aside: Sequence[DeadLetter] = (), retried: Sequence[Retry] = ()
) -> Progress:
    """Where an order stands after these events."""
    return saga_state.evaluate(CHOREOGRAPHY, events, set_aside, retried)
