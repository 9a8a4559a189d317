"""Decides which anomalies become alerts, and when an alert opens, repeats and closes. Pure.

Anomalies of one kind, at one service, for one reason are one alert, however many instances they concern: an
outage is one message, not ten thousand.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from choregraphie.saga.envelope import Instance
from choregraphie.saga.saga_set import SagaSet
from saga_monitor.diagnosis.anomalies import SHOWN_FOR, Anomaly, Kind
from saga_monitor.diagnosis.causes import Reason
from saga_monitor.diagnosis.grouping import grouped

# An alert closes after it has been absent for this long, so one that flickers stays open.
CLOSE_AFTER = dt.timedelta(seconds=30)
# An alert is repeated early when it has grown by this factor: one stuck instance and a thousand are not the same.
GROWTH_FACTOR = 10


class Severity(StrEnum):
    CRITICAL = "critical"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Rule:
    """Anomalies of `kind` are alerts, except for some reasons.

    `expires_after`: the age at which an anomaly that never ends is no alert any more. `needs_broker`: the broker's
    answers decide whether there is one, and why. `stands_for`: how old an anomaly must be to be an alert.
    """

    kind: Kind
    severity: Severity
    except_reasons: frozenset[str] = frozenset()
    expires_after: dt.timedelta | None = None
    needs_broker: bool = False
    stands_for: dt.timedelta = dt.timedelta()


RULES = (
    Rule(Kind.BLIND, Severity.CRITICAL),
    Rule(Kind.CONTRADICTION, Severity.CRITICAL, expires_after=SHOWN_FOR),
    # An orchestrator has waited as long as it may: it asks once, and nothing goes on without a person.
    Rule(Kind.REVIEW, Severity.CRITICAL),
    Rule(Kind.HALF_UNDONE, Severity.CRITICAL, except_reasons=frozenset({Reason.RETRYING}), needs_broker=True),
    # An instance that waits for its next try, or in a queue, is late but under way: nobody need get up for it. Nor
    # for an instance that may have ended before the history begins.
    Rule(
        Kind.STUCK,
        Severity.WARNING,
        except_reasons=frozenset({Reason.RETRYING, Reason.QUEUED, Reason.NO_BEGINNING}),
        needs_broker=True,
    ),
    # The restart of a worker takes less.
    Rule(Kind.QUEUE, Severity.WARNING, needs_broker=True, stands_for=dt.timedelta(minutes=1)),
    # It passes, and nothing is lost: a minute tells an outage from a moment.
    Rule(Kind.HELD, Severity.WARNING, stands_for=dt.timedelta(minutes=1)),
    Rule(Kind.DEAD_LETTER, Severity.WARNING, needs_broker=True),
    Rule(Kind.LOST_HISTORY, Severity.WARNING),
    Rule(Kind.UNKNOWN_EVENTS, Severity.WARNING),
    Rule(Kind.NOT_ALLOWED, Severity.WARNING, expires_after=SHOWN_FOR),
    Rule(Kind.CLOCK_SKEW, Severity.WARNING),
)
ALL_KINDS = frozenset(rule.kind for rule in RULES)


class Status(StrEnum):
    OPENED = "opened"
    REPEATED = "repeated"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Alert:
    """All anomalies of one kind, service and reason. `sentence` is that of the first."""

    kind: str
    service: str | None
    reason: str
    severity: str
    count: int
    instances: tuple[Instance, ...]
    since: dt.datetime | None
    sentence: str

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.service or '-'}/{self.reason}"


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert as it was seen last, when it was opened, and its last notice.

    `undelivered`: for each notifier that has not taken the notice yet, when it sends the notice again.
    """

    alert: Alert
    opened_at: dt.datetime
    told_at: dt.datetime
    seen_at: dt.datetime
    told_count: int
    status: Status = Status.OPENED
    undelivered: Mapping[str, dt.datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notice:
    """What notifiers send."""

    status: Status
    alert: Alert
    opened_at: dt.datetime
    at: dt.datetime

    @property
    def id(self) -> str:
        """The same from the opening to the closing, also when a notice is repeated."""
        return f"{self.alert.key}@{_text(self.opened_at)}"

    @property
    def title(self) -> str:
        alert = self.alert
        place = f" at {alert.service}" if alert.service else ""
        return f"[{self.status}] {alert.kind}{place}: {alert.reason} ({alert.count})"

    def as_json(self, sagas: SagaSet) -> dict[str, Any]:
        """The body that the webhook is sent. Of one saga, the keys alone are also there, under its noun."""
        alert = self.alert
        keys = {} if sagas.several else {sagas.noun[1]: [instance.key for instance in alert.instances]}
        return {
            "id": self.id,
            "status": self.status,
            "at": _text(self.at),
            "opened_at": _text(self.opened_at),
            "severity": alert.severity,
            "kind": alert.kind,
            "service": alert.service,
            "reason": alert.reason,
            "count": alert.count,
            **keys,
            "instances": [instance._asdict() for instance in alert.instances],
            "since": _text(alert.since),
            "sentence": alert.sentence,
        }


def path_of(instance: Instance) -> str:
    """The saga and the key of an instance in one word; the key alone where the saga cannot be told."""
    return "/".join(filter(None, instance))


def alerts_of(anomalies: Iterable[Anomaly], now: dt.datetime) -> dict[str, Alert]:
    """The alerts for these anomalies now, by key."""
    rules = {rule.kind: rule for rule in RULES}
    called_for = [a for a in anomalies if a.kind in rules and _is_called_for(a, rules[a.kind], now)]
    alerts = [
        Alert(g.kind, g.service, g.reason, rules[g.kind].severity, g.count, g.instances, g.since, g.sentence)
        for g in grouped(called_for)
    ]
    return {alert.key: alert for alert in alerts}


def judged_kinds(*, caught_up: bool, asked: bool) -> frozenset[str]:
    """The kinds of anomaly that a check can judge: only these may open or close.

    A monitor that has not `caught_up` with the history reports only its own lag. When the broker was not `asked`,
    kinds that depend on its answers keep their state.
    """
    if not caught_up:
        return frozenset({Kind.BLIND})
    return ALL_KINDS if asked else frozenset(rule.kind for rule in RULES if not rule.needs_broker)


def changes(
    opened: Mapping[str, OpenAlert],
    alerts: Mapping[str, Alert],
    now: dt.datetime,
    repeat: dt.timedelta,
    kinds: Collection[str] = ALL_KINDS,
) -> Iterator[Notice]:
    """The notices for alerts that open, repeat or, if they are of these `kinds`, close."""
    for key, alert in alerts.items():
        before = opened.get(key)
        if before is None:
            yield Notice(Status.OPENED, alert, now, now)
        elif now - before.told_at >= repeat or alert.count >= GROWTH_FACTOR * before.told_count:
            yield Notice(Status.REPEATED, alert, before.opened_at, now)
    for key, before in opened.items():
        if key not in alerts and before.alert.kind in kinds and now - before.seen_at >= CLOSE_AFTER:
            yield Notice(Status.CLOSED, before.alert, before.opened_at, now)


def _is_called_for(anomaly: Anomaly, rule: Rule, now: dt.datetime) -> bool:
    faded = rule.expires_after and anomaly.since and now - anomaly.since > rule.expires_after
    young = anomaly.since is not None and now - anomaly.since < rule.stands_for
    return anomaly.reason not in rule.except_reasons and not faded and not young


def _text(time: dt.datetime | None) -> str | None:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z") if time else None
