"""Groups anomalies by kind, service and reason, so that an outage is one line."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from saga_monitor.diagnosis.anomalies import Anomaly, Kind

# How many orders and dead letters of a group are named as examples.
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Group:
    """`count`: all anomalies of the group, examined or not. `sentence`: of the first one.

    `letters`: offsets of dead letters, as examples.
    """

    kind: Kind
    service: str | None
    reason: str
    count: int
    orders: tuple[str, ...]
    since: dt.datetime | None
    sentence: str
    letters: tuple[int, ...] = ()


def how_many(anomalies: Iterable[Anomaly]) -> int:
    """The number of anomalies: every screen, command and metric shows this one."""
    return sum(anomaly.count for anomaly in anomalies)


def within_usual_time(stuck: int, anomalies: Iterable[Anomaly], now: dt.datetime, stuck_after: float) -> int:
    """How many of the `stuck` orders are no anomaly: their step usually takes more than `stuck_after` (s)."""
    late: dict[str | None, int] = {}
    for anomaly in anomalies:
        old = anomaly.since is not None and (now - anomaly.since).total_seconds() > stuck_after
        if old and anomaly.kind in {Kind.STUCK, Kind.HALF_UNDONE}:
            late[anomaly.commande_id] = max(anomaly.count, late.get(anomaly.commande_id, 0))
    return max(0, stuck - sum(late.values()))


def grouped(anomalies: Iterable[Anomaly]) -> list[Group]:
    """One group per kind, service and reason, in the order of their first anomalies."""
    groups: dict[tuple[Kind, str | None, str], list[Anomaly]] = defaultdict(list)
    for anomaly in anomalies:
        groups[anomaly.kind, anomaly.service, anomaly.reason].append(anomaly)
    return [_group(group) for group in groups.values()]


def _group(anomalies: list[Anomaly]) -> Group:
    first = anomalies[0]
    orders = tuple(dict.fromkeys(a.commande_id for a in anomalies if a.commande_id))[:EXAMPLES]
    since = min((anomaly.since for anomaly in anomalies if anomaly.since), default=None)
    letters = tuple(a.letter for a in anomalies if a.letter is not None)[:EXAMPLES]
    return Group(
        first.kind, first.service, first.reason, how_many(anomalies), orders, since, first.sentence, letters
    )
