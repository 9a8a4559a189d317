"""The circuit breaker of a call: when the outside system counts as down, and how long the inbox is held. Data."""

from dataclasses import dataclass

from choregraphie.errors import OutsideUnavailable


@dataclass(frozen=True)
class CircuitBreaker:
    """Holds the inbox of a service while `outside`, a system that its calls need, is down.

    `outside` names it for people. Calls of one service to one system share one breaker.

    down          the errors that say so. Any other is the failure of one message.
    failures      how many calls in a row must fail with them; None: SAGA_HOLD_AFTER
    longest_hold  after so many seconds the retries apply again; None: SAGA_LONGEST_HOLD
    """

    outside: str
    down: tuple[type[Exception], ...] = (OutsideUnavailable, ConnectionError, TimeoutError)
    failures: int | None = None
    longest_hold: float | None = None
