"""What the author of a service writes with: reactions, rows, transactions."""

from choregraphie.service.circuit_breaker import CircuitBreaker
from choregraphie.service.column_types import Instant, Money
from choregraphie.service.rows import Key, Row
from choregraphie.service.service import NOW, Forget, Handler, Schedule, Service, every, on
from choregraphie.service.transaction import ReadView, Transaction
from choregraphie.service.verdict import RetryOverride

__all__ = [
    "NOW",
    "CircuitBreaker",
    "Forget",
    "Handler",
    "Instant",
    "Key",
    "Money",
    "ReadView",
    "RetryOverride",
    "Row",
    "Schedule",
    "Service",
    "Transaction",
    "every",
    "on",
]
