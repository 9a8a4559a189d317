"""What every service runs on: from bytes to verdict, one transaction a group, nothing lost, nothing twice.

This is the front door: services, the monitor and the scripts import from here and from nowhere behind it.
"""

from services.runtime.amqp_url import broker_address
from services.runtime.answers import AnswerUnreadable, read_answer
from services.runtime.broker import (
    Publisher,
    apply,
    bindings_of,
    connected,
    count,
    missing_bindings,
    open_door,
    open_history,
    open_publisher,
    remove_topology,
)
from services.runtime.columns import Instant, Money
from services.runtime.connections import Connections, accept, limit_for, listen, reset_on_close
from services.runtime.database import look_into, open_database, read_catalogue, reading
from services.runtime.desk import Desk, open_desk
from services.runtime.door import (
    Delivery,
    Door,
    Fate,
    History,
    HistoryEntry,
    Outgoing,
    Properties,
    QueueCount,
)
from services.runtime.engine import is_of_each_service
from services.runtime.errors import (
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
from services.runtime.formats import format_amount, format_count, format_duration
from services.runtime.journal import Entry, history_of, open_actions
from services.runtime.logs import configure_logs, silence_the_client
from services.runtime.outbox import Saying, last_number, said_since, unsaid
from services.runtime.output import open_streams, output_lost
from services.runtime.refusals import LONGEST_PAUSE_SECONDS, RefusedLogin
from services.runtime.rows import Key, Row
from services.runtime.service import NOW, Every, Forget, On, Patience, Service, every, on
from services.runtime.settings import Settings, read_settings
from services.runtime.supervisor import backoff, run_workers, wanted_topology
from services.runtime.time_arguments import TIME_EXAMPLES, BadMoment, moment_of
from services.runtime.transaction import Look, Transaction

__all__ = [
    "LONGEST_PAUSE_SECONDS",
    "NOW",
    "TIME_EXAMPLES",
    "AnswerUnreadable",
    "BadMoment",
    "BadSetting",
    "BrokerRefused",
    "BrokerTrouble",
    "ChoregraphieError",
    "Connections",
    "DatabaseRefused",
    "DatabaseTrouble",
    "Delivery",
    "Desk",
    "Door",
    "Entry",
    "Every",
    "Fate",
    "Forget",
    "History",
    "HistoryEntry",
    "HistoryMissing",
    "Instant",
    "Key",
    "LoginRefused",
    "Look",
    "Money",
    "On",
    "Outgoing",
    "Patience",
    "Properties",
    "Publisher",
    "QueueCount",
    "Reason",
    "RefusedLogin",
    "ResourceShortage",
    "Row",
    "Saying",
    "Service",
    "Settings",
    "Transaction",
    "UserError",
    "accept",
    "apply",
    "backoff",
    "bindings_of",
    "broker_address",
    "configure_logs",
    "connected",
    "count",
    "every",
    "format_amount",
    "format_count",
    "format_duration",
    "history_of",
    "is_of_each_service",
    "last_number",
    "limit_for",
    "listen",
    "look_into",
    "missing_bindings",
    "moment_of",
    "on",
    "open_actions",
    "open_database",
    "open_desk",
    "open_door",
    "open_history",
    "open_publisher",
    "open_streams",
    "output_lost",
    "read_answer",
    "read_catalogue",
    "read_settings",
    "reading",
    "remove_topology",
    "reset_on_close",
    "run_workers",
    "said_since",
    "silence_the_client",
    "unsaid",
    "wanted_topology",
]
