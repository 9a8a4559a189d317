"""The engine for choreographed sagas over RabbitMQ. This page is what the author of a saga imports."""

from choregraphie.errors import (
    BadSetting,
    BrokerRefused,
    BrokerUnavailable,
    ChoregraphieError,
    DatabaseRefused,
    DatabaseUnavailable,
    HistoryMissing,
    LoginRefused,
    Reason,
    ResourceShortage,
    UserError,
)
from choregraphie.http_answers import AnswerUnreadable, read_answer
from choregraphie.service.column_types import Instant, Money
from choregraphie.service.rows import Key, Row
from choregraphie.service.service import NOW, Forget, Handler, RetryOverride, Schedule, Service, every, on
from choregraphie.service.transaction import ReadView, Transaction
from choregraphie.settings import Settings, read_settings

__all__ = [
    "NOW",
    "AnswerUnreadable",
    "BadSetting",
    "BrokerRefused",
    "BrokerUnavailable",
    "ChoregraphieError",
    "DatabaseRefused",
    "DatabaseUnavailable",
    "Forget",
    "Handler",
    "HistoryMissing",
    "Instant",
    "Key",
    "LoginRefused",
    "Money",
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
    "every",
    "on",
    "read_answer",
    "read_settings",
]
