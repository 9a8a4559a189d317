"""The engine for choreographed sagas over RabbitMQ. This page is what the author of a saga imports."""

from choregraphie.application import Application
from choregraphie.errors import (
    BadApplication,
    BadSetting,
    BrokerRefused,
    BrokerUnavailable,
    ChoregraphieError,
    DatabaseRefused,
    DatabaseUnavailable,
    HistoryMissing,
    LoginRefused,
    OutsideUnavailable,
    Reason,
    ResourceShortage,
    UserError,
)
from choregraphie.http_answers import AnswerUnreadable, read_answer
from choregraphie.service.circuit_breaker import CircuitBreaker
from choregraphie.service.column_types import Instant, Money
from choregraphie.service.rows import Key, Row
from choregraphie.service.service import NOW, Forget, Handler, Schedule, Service, every, on
from choregraphie.service.transaction import ReadView, Transaction
from choregraphie.service.verdict import RetryOverride
from choregraphie.settings import Settings, read_settings
from choregraphie.tls import distrust, https_address

__all__ = [
    "NOW",
    "AnswerUnreadable",
    "Application",
    "BadApplication",
    "BadSetting",
    "BrokerRefused",
    "BrokerUnavailable",
    "ChoregraphieError",
    "CircuitBreaker",
    "DatabaseRefused",
    "DatabaseUnavailable",
    "Forget",
    "Handler",
    "HistoryMissing",
    "Instant",
    "Key",
    "LoginRefused",
    "Money",
    "OutsideUnavailable",
    "ReadView",
    "Reason",
    "ResourceShortage",
    "RetryOverride",
    "Row",
    "Schedule",
    "Service",
    "Settings",
    "Transaction",
    "UserError",
    "distrust",
    "every",
    "https_address",
    "on",
    "read_answer",
    "read_settings",
]
