"""The engine for choreographed sagas over RabbitMQ: what a person writes a saga with."""

from choregraphie.errors import (
    BadSetting,
    BrokerRefused,
    BrokerTrouble,
    ChoregraphieError,
    DatabaseRefused,
    DatabaseTrouble,
    HistoryMissing,
    LoginRefused,
    Reason,
    ResourceShortage,
    UserError,
)
from choregraphie.http_answers import AnswerUnreadable, read_answer
from choregraphie.service.column_types import Instant, Money
from choregraphie.service.rows import Key, Row
from choregraphie.service.service import NOW, Every, Forget, On, Patience, Service, every, on
from choregraphie.service.transaction import Look, Transaction
from choregraphie.settings import Settings, read_settings

__all__ = [
    "NOW",
    "AnswerUnreadable",
    "BadSetting",
    "BrokerRefused",
    "BrokerTrouble",
    "ChoregraphieError",
    "DatabaseRefused",
    "DatabaseTrouble",
    "Every",
    "Forget",
    "HistoryMissing",
    "Instant",
    "Key",
    "LoginRefused",
    "Look",
    "Money",
    "On",
    "Patience",
    "Reason",
    "ResourceShortage",
    "Row",
    "Service",
    "Settings",
    "Transaction",
    "UserError",
    "every",
    "on",
    "read_answer",
    "read_settings",
]
