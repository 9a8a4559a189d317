"""Groups anomalies by kind, service and reason, so that an outage is one line."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from choregraphie.saga.envelope import Instance
from saga_monitor.diagnosis.anomalies import Anomaly, Kind
from saga_monitor.projection.queries import Queries

# How many instances and dead letters of a group are named as examples.
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Group:
    """`count`: all anomalies of the group, examined or not. `sentence`: of the first one.

    `instances`: examples; the saga is empty where only a key is known. `letters`: offsets of dead letters, as
    examples.
    """

    kind: Kind
    service: str | None
    reason: str
    count: int
    instances: tuple[Instance, ...]
    since: dt.datetime | None
    sentence: str
    letters: tuple[int, ...] = ()


def how_many(anomalies: Iterable[Anomaly]) -> int:
    """The number of anomalies: every screen, command and metric shows this one."""
    return sum(anomaly.count for anomaly in anomalies)


def of_saga(anomalies: Iterable[Anomaly], saga: str | None) -> list[Anomaly]:
    """Those of that saga and those of no saga, such as a queue's, which count in each; with None, all."""
    return [anomaly for anomaly in anomalies if saga is None or anomaly.saga in {None, saga}]


def within_usual_times(
    queries: Queries, anomalies: Sequence[Anomaly], now: dt.datetime, stuck_after: float
) -> dict[str | None, int]:
    """`within_usual_time` of the instances of each saga, and of all under None."""
    return {
        saga: within_usual_time(queries.totals(now, saga=saga).stuck, of_saga(anomalies, saga), now, stuck_after)
        for saga in (None, *queries.sagas.by_name)
    }


def within_usual_time(stuck: int, anomalies: Iterable[Anomaly], now: dt.datetime, stuck_after: float) -> int:
    """How many of the `stuck` instances are no anomaly: their step usually takes more than `stuck_after` (s)."""
    late: dict[Instance | None, int] = {}
    for anomaly in anomalies:
        old = anomaly.since is not None and (now - anomaly.since).total_seconds() > stuck_after
        if old and anomaly.kind in {Kind.STUCK, Kind.HALF_UNDONE, Kind.REVIEW}:
            late[anomaly.instance] = max(anomaly.count, late.get(anomaly.instance, 0))
    return max(0, stuck - sum(late.values()))


def grouped(anomalies: Iterable[Anomaly]) -> list[Group]:
    """One group per kind, service and reason, in the order of their first anomalies."""
    groups: dict[tuple[Kind, str | None, str], list[Anomaly]] = defaultdict(list)
    for anomaly in anomalies:
        groups[anomaly.kind, anomaly.service, anomaly.reason].append(anomaly)
    return [_group(group) for group in groups.values()]


def _group(anomalies: list[Anomaly]) -> Group:
    first = anomalies[0]
    instances = tuple(dict.fromkeys(a.instance for a in anomalies if a.instance))[:EXAMPLES]
    since = min((anomaly.since for anomaly in anomalies if anomaly.since), default=None)
    letters = tuple(a.letter for a in anomalies if a.letter is not None)[:EXAMPLES]
    return Group(
        first.kind, first.service, first.reason, how_many(anomalies), instances, since, first.sentence, letters
    )
