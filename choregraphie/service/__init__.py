"""What a person writes a service with: reactions, rows, transactions."""

from choregraphie.service.column_types import Instant, Money
from choregraphie.service.rows import Key, Row
from choregraphie.service.service import NOW, Every, Forget, On, Patience, Service, every, on
from choregraphie.service.transaction import Look, Transaction

__all__ = [
    "NOW",
    "Every",
    "Forget",
    "Instant",
    "Key",
    "Look",
    "Money",
    "On",
    "Patience",
    "Row",
    "Service",
    "Transaction",
    "every",
    "on",
]
