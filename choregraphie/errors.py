"""All errors of the project, as one shallow tree.

ChoregraphieError
├── UserError               a person must change something; shown as one line, exit code 2
│   ├── BadApplication      the application cannot be imported, or its declarations do not fit together
│   ├── BadSetting          a setting is unknown, missing or unreadable
│   ├── MissingExtra        an optional dependency is not installed
│   ├── BrokerRefused       credentials, virtual host, permissions
│   │   └── LoginRefused    credentials alone
│   ├── DatabaseRefused     unwritable, held by another worker, of a newer version, damaged, refused by its server
│   ├── MonitorRefused      the monitor refuses a question: its token, its name, a saga that it does not know
│   └── NobodyHears         the broker has no exchange for an event yet: no worker has been started
├── BrokerUnavailable       the session is lost or the broker is away; open another session
│   ├── HistoryMissing      the broker has no history stream yet
│   └── ManagementUnavailable   the management of the broker does not answer, or not as one does
├── DatabaseUnavailable     the database does not answer now; wait, no delivery is to blame
├── ResourceShortage        the worker lacks descriptors, memory, threads or disk; wait, no delivery is to blame
├── OutsideUnavailable      an outside system is down: its client raises it; opens a circuit breaker
├── OutcomeUnknown          the monitor cannot tell yet how a saga ended; also a TimeoutError
├── ReactionFailed          a reaction raised; carries its error
└── RowNotDeclared          a reaction read a row that its `reads` does not name
"""

from enum import StrEnum


class ChoregraphieError(Exception):
    """Base of every error of this project."""


class UserError(ChoregraphieError):
    """A person must change something. Its text says what, in one line."""


class BadApplication(UserError):
    """The application cannot be imported, or its declarations do not fit together."""


class BadSetting(UserError):
    """A setting is unknown, missing or cannot be read."""


class MissingExtra(UserError):
    """An optional dependency is not installed."""


class BrokerRefused(UserError):
    """The broker refused; another try would get the same answer."""


class LoginRefused(BrokerRefused):
    """The broker refuses this user, this password, or this way to log in."""


class DatabaseRefused(UserError):
    """The database cannot be used as it is."""


class MonitorRefused(UserError):
    """The monitor refuses the question; another try would get the same answer."""


class NobodyHears(UserError):
    """An event would reach nobody: its exchange is not on the broker, because no worker has declared it yet."""


class BrokerUnavailable(ChoregraphieError):
    """The broker is away or the session is lost; the next session may succeed."""


class HistoryMissing(BrokerUnavailable):
    """The broker has no history stream, because no worker has declared it yet or it was deleted."""


class ManagementUnavailable(BrokerUnavailable):
    """The broker's management does not answer, or not as a management does. The text names its setting."""


class DatabaseUnavailable(ChoregraphieError):
    """The database does not answer now. No delivery is to blame, so none is retried or set aside for it."""


class ResourceShortage(ChoregraphieError):
    """The worker has too little of its own resources. No delivery is to blame, so none is retried or set aside.

    `lacking` names the resource in a few words: file descriptors, disk space.
    """

    def __init__(self, lacking: str, detail: str = "") -> None:
        super().__init__(f"short of {lacking}{': ' if detail else ''}{' '.join(detail.split())[:300]}")
        self.lacking = lacking


class OutsideUnavailable(ChoregraphieError):
    """An outside system is down, whatever it is asked. The client of that system raises it, for its calls."""


class OutcomeUnknown(ChoregraphieError, TimeoutError):
    """The time is over, and the monitor does not know the saga or has not answered. The saga may go on."""


class ReactionFailed(ChoregraphieError):
    """A reaction raised `error`; the transaction of its batch was rolled back."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.error = error


class RowNotDeclared(ChoregraphieError):
    """A reaction read a row that its `reads` does not name: a bug in the service."""


class Reason(StrEnum):
    """Why a message is a dead letter. On the wire in `choregraphie.saga.topology.REASON_HEADER`."""

    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_VERSION = "unknown_version"
    INVALID = "invalid"
    SUBJECT_MISMATCH = "subject_mismatch"
    WRONG_SENDER = "wrong_sender"
    SIGNATURE = "signature"
    ID_COLLISION = "id_collision"
    EXHAUSTED = "exhausted"
