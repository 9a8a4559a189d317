"""Which anomalies are worth waking somebody for, and when: opened once, repeated seldom, closed when over. Pure.

Anomalies of one kind, at one service, for one reason are one alert, however many orders they concern: an outage
is one message, not ten thousand.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from saga_monitor.anomalies import Anomaly, Kind
from saga_monitor.judging.reasons import Reason

# An order's id is an example, for whoever wants to look.
EXAMPLES = 5
# What flickers is not over: it must be away for so long.
AWAY = dt.timedelta(seconds=30)


class Severity(StrEnum):
    CRITICAL = "critical"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Rule:
    """Anomalies of `kind` are alerts, but for these reasons; `fades`: how long one matters that never ends."""

    kind: Kind
    severity: Severity
    but_for: frozenset[str] = frozenset()
    fades: dt.timedelta | None = None


_A_DAY = dt.timedelta(days=1)
RULES = (
    Rule(Kind.CONTRADICTION, Severity.CRITICAL, fades=_A_DAY),
    Rule(Kind.HALF_UNDONE, Severity.CRITICAL, but_for=frozenset({Reason.RETRYING})),
    # What waits for its next try, or its turn, is late and on its way; nobody need get up for it.
    Rule(Kind.STUCK, Severity.WARNING, but_for=frozenset({Reason.RETRYING, Reason.QUEUED})),
    Rule(Kind.DEAD_LETTER, Severity.WARNING),
    Rule(Kind.NOT_ALLOWED, Severity.WARNING, fades=_A_DAY),
    Rule(Kind.CLOCK_SKEW, Severity.WARNING),
)


class Status(StrEnum):
    OPENED = "opened"
    REPEATED = "repeated"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Alert:
    """All anomalies of one kind, service and reason. `sentence` is the first one's."""

    kind: str
    service: str | None
    reason: str
    severity: str
    count: int
    orders: tuple[str, ...]
    since: dt.datetime | None
    sentence: str

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.service or '-'}/{self.reason}"


@dataclass(frozen=True, slots=True)
class Open:
    """An alert as it was last seen, when it was opened, and when somebody was last told."""

    alert: Alert
    opened_at: dt.datetime
    told_at: dt.datetime
    seen_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Notice:
    """What receivers are told."""

    status: Status
    alert: Alert
    opened_at: dt.datetime
    at: dt.datetime

    @property
    def title(self) -> str:
        alert = self.alert
        place = f" at {alert.service}" if alert.service else ""
        return f"[{self.status}] {alert.kind}{place}: {alert.reason} ({alert.count})"

    def as_json(self) -> dict[str, Any]:
        """What the webhook is sent. `id` is the same from the opening to the closing."""
        alert = self.alert
        return {
            "id": f"{alert.key}@{_text(self.opened_at)}",
            "status": self.status,
            "at": _text(self.at),
            "opened_at": _text(self.opened_at),
            "severity": alert.severity,
            "kind": alert.kind,
            "service": alert.service,
            "reason": alert.reason,
            "count": alert.count,
            "orders": list(alert.orders),
            "since": _text(alert.since),
            "sentence": alert.sentence,
        }


def standing(anomalies: Iterable[Anomaly], now: dt.datetime) -> dict[str, Alert]:
    """The alerts that these anomalies call for now, by key."""
    rules = {rule.kind: rule for rule in RULES}
    groups: dict[tuple[Kind, str | None, str], list[Anomaly]] = defaultdict(list)
    for anomaly in anomalies:
        rule = rules.get(anomaly.kind)
        if rule and anomaly.reason not in rule.but_for and not _faded(anomaly, rule, now):
            groups[anomaly.kind, anomaly.service, anomaly.reason].append(anomaly)
    alerts = [_alert(group, rules[kind].severity) for (kind, _, _), group in groups.items()]
    return {alert.key: alert for alert in alerts}


def changes(
    opened: Mapping[str, Open], alerts: Mapping[str, Alert], now: dt.datetime, repeat: dt.timedelta
) -> Iterator[Notice]:
    """What is new, what is told again, what is over."""
    for key, alert in alerts.items():
        before = opened.get(key)
        if before is None:
            yield Notice(Status.OPENED, alert, now, now)
        elif now - before.told_at >= repeat:
            yield Notice(Status.REPEATED, alert, before.opened_at, now)
    for key, before in opened.items():
        if key not in alerts and now - before.seen_at >= AWAY:
            yield Notice(Status.CLOSED, before.alert, before.opened_at, now)


def _faded(anomaly: Anomaly, rule: Rule, now: dt.datetime) -> bool:
    return bool(rule.fades and anomaly.since and now - anomaly.since > rule.fades)


def _alert(group: list[Anomaly], severity: Severity) -> Alert:
    first = group[0]
    orders = tuple(dict.fromkeys(a.commande_id for a in group if a.commande_id))
    since = min((anomaly.since for anomaly in group if anomaly.since), default=None)
    return Alert(
        first.kind,
        first.service,
        first.reason,
        severity,
        sum(anomaly.count for anomaly in group),
        orders[:EXAMPLES],
        since,
        first.sentence,
    )


def _text(time: dt.datetime | None) -> str | None:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z") if time else None
