"""What is wrong with the broker's queues, whatever the history tells: counted by the broker itself."""

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import HISTORY, dlq, dlx, events, inbox, requeue, retry
from saga_monitor.analysis.anomaly import Anomaly, Kind
from saga_monitor.diagnosis.causes import (
    START_NODES,
    Reason,
    how_to_declare,
    how_to_resend,
    how_to_start,
    messages,
)
from saga_monitor.projection import case_queries
from saga_monitor.projection.queries import Queries
from saga_monitor.records.broker_status import BrokerStatus, Problem, QueueProblem

# A retried message may return late: a queue expires messages only at its head.
LATE_AT_MOST = dt.timedelta(minutes=5)


def queue_anomalies(
    queries: Queries, status: BrokerStatus, found: Collection[Anomaly], command: str
) -> Iterator[Anomaly]:
    """What the queues hold or lack, as far as `found`, the anomalies of instances, does not say it already.

    `command` starts the application's command line.
    """
    sagas = queries.sagas
    told = {anomaly.service for anomaly in found if anomaly.reason in {Reason.NO_CONSUMER, Reason.NO_QUEUE}}
    yield from _leaderless(sagas, status)
    yield from _hidden(sagas, status)
    for service in sagas.services:
        if service not in told:
            yield from _inbox(service, status, how_to_start(service, command, sagas.foreign))
        yield from _retries(queries, service, status)
    yield from _missing(sagas, status, told)
    yield from _unbound(sagas, status, command)
    yield from _not_counted(status)


def _inbox(service: str, status: BrokerStatus, start: str) -> Iterator[Anomaly]:
    queue = status.inbox(service)
    if queue and queue.messages and not queue.consumers:
        text = f"{inbox(service)} has no consumer and {messages(queue.messages)}: {start}"
        yield _queue(service, status, Reason.NO_CONSUMER, text, queue.messages)


def _retries(queries: Queries, service: str, status: BrokerStatus) -> Iterator[Anomaly]:
    waiting = sum(status.queues[name].messages for name in status.retry_queues(service) if name in status.queues)
    if not waiting:
        return
    untold = waiting - case_queries.retries_under_way(queries, service, status.at - LATE_AT_MOST)
    if untold > 0:
        text = (
            f"{messages(waiting)} in the queues {retry(service)}.* for another try, and the history tells nothing"
        )
        text += f" of {untold}: see the log of {service}; what cannot be done ends in {dlq(service)}"
        yield _queue(service, status, Reason.RETRYING, text, untold)


def _missing(sagas: SagaSet, status: BrokerStatus, told: Collection[str | None]) -> Iterator[Anomaly]:
    if status.asked and not status.queues and not status.unknown:
        text = "none of the saga's queues exists on this broker: start the workers, which declare them, or see"
        text += " whether SAGA_AMQP_URL names the right broker and virtual host"
        yield _queue(None, status, "missing", text)
        return
    for service in sagas.services:
        missing = [name for name in (inbox(service), dlq(service)) if status.lacks(name)]
        if service in told:
            missing = [name for name in missing if name != inbox(service)]
        ladder = status.retry_queues(service)
        # Where none of them exists, the workers were given other delays than this monitor.
        if any(name in status.queues for name in ladder):
            missing += [name for name in ladder if status.lacks(name)]
        if missing:
            text = (
                f"{', '.join(missing)} {'does' if len(missing) == 1 else 'do'} not exist, or the node that holds"
            )
            text += (
                f" them is down: what is sent there is lost; {how_to_declare(service, sagas.foreign)}, which"
                " declares them"
            )
            yield _queue(service, status, "missing", text, len(missing))


def _again(speaker: str, command: str, sagas: SagaSet) -> str:
    if speaker in sagas.foreign:
        return f"have the foreign service {speaker} say again what was lost"
    return how_to_resend(speaker, command, "TIME")


def _unbound(sagas: SagaSet, status: BrokerStatus, command: str) -> Iterator[Anomaly]:
    for queue in dict.fromkeys(binding.queue for binding in status.unbound):
        lost = [binding for binding in status.unbound if binding.queue == queue]
        to = ", ".join(f"{binding.exchange} ({binding.key})" for binding in lost)
        text = f"{queue} is not bound to {to}: the broker confirms what is said there, and does not deliver it to"
        if queue == HISTORY:
            text += " the history, so nobody hears it here; restart a worker, which binds it again"
            yield Anomaly(Kind.BLIND, None, None, None, status.at, "unbound", text)
            continue
        service = queue.partition(".")[0]
        text += f" {service}; {how_to_declare(service, sagas.foreign)}, which binds it again"
        said = [s for s in sagas.services if any(binding.exchange == events(s) for binding in lost)]
        for speaker in said:
            text += f", then {_again(speaker, command, sagas)}"
        if any(speaker not in sagas.foreign for speaker in said):
            text += f", with a TIME before it was lost: it was seen at {status.at:%Y-%m-%dT%H:%M:%SZ}"
        yield _queue(service, status, "unbound", text, len(lost))


def _leaderless(sagas: SagaSet, status: BrokerStatus) -> Iterator[Anomaly]:
    """The queues without a leader of each service, and the history."""
    for service, problems in _by_service(sagas, status.lasting(Problem.NO_LEADER)):
        text = f"{', '.join(one.queue for one in problems)} {'has' if len(problems) == 1 else 'have'} no leader:"
        text += f" nothing gets in or out, and the broker counts 0 whatever waits there; {START_NODES}"
        since = min(one.since for one in problems)
        if service is None:
            yield Anomaly(
                Kind.BLIND, None, None, None, since, Reason.NO_LEADER, f"{text}; until then nothing is heard here"
            )
        else:
            yield Anomaly(Kind.QUEUE, None, None, service, since, Reason.NO_LEADER, text, len(problems))


def _hidden(sagas: SagaSet, status: BrokerStatus) -> Iterator[Anomaly]:
    for service, problems in _by_service(sagas, status.lasting(Problem.HIDDEN)):
        count = sum(one.count for one in problems)
        held = ", ".join(f"{one.count} in {one.queue}" for one in problems)
        ways = dict.fromkeys(_way_out(str(service), one.queue) for one in problems)
        text = f"{messages(count)} {'is' if count == 1 else 'are'} neither ready nor with a worker: {held};"
        text += f" the broker cannot dead-letter them: see that {' and '.join(ways)}; then they follow within some"
        text += (
            " minutes. One that stays carries the x-death of an earlier dead-lettering: have its sender publish"
        )
        text += " it again"
        yield Anomaly(Kind.QUEUE, None, None, service, min(one.since for one in problems), "hidden", text, count)


def _way_out(service: str, queue: str) -> str:
    exchange, to = (requeue, inbox) if queue.startswith(f"{retry(service)}.") else (dlx, dlq)
    return f"the exchange {exchange(service)} exists and leads to {to(service)}, which must take messages"


def _by_service(
    sagas: SagaSet, problems: Sequence[QueueProblem]
) -> Iterator[tuple[str | None, list[QueueProblem]]]:
    """None: the history."""
    for service in (*sagas.services, None):
        mine = [
            one for one in problems if (None if one.queue == HISTORY else one.queue.partition(".")[0]) == service
        ]
        if mine:
            yield service, mine


def _not_counted(status: BrokerStatus) -> Iterator[Anomaly]:
    refused = sorted(name for name in status.unknown if not status.is_leaderless(name))
    if refused:
        text = f"the broker does not let this monitor count {', '.join(refused)}: what they hold is not"
        text += " known; see who holds them, and which rights this user has"
        yield Anomaly(Kind.BLIND, None, None, None, status.at, "not_counted", text)
    if status.unasked:
        text = (
            f"{status.unasked}: whether every queue is bound and has a leader, and whether messages are hidden in"
        )
        text += " one, is not known; see SAGA_MANAGEMENT_URL"
        yield Anomaly(Kind.BLIND, None, None, None, status.at, "bindings_not_known", text)
    if silent := status.lasting(Problem.NO_FIGURES):
        names = (
            "any of its queues"
            if len(silent) >= len(status.queues) - 1
            else ", ".join(one.queue for one in silent)
        )
        text = (
            f"RabbitMQ's management gives no figures of {names}: whether messages are hidden there is not known;"
        )
        text += " see its log, whether its statistics are switched off, and whether SAGA_MANAGEMENT_URL names the"
        text += " same broker as SAGA_AMQP_URL"
        yield _queue(None, replace(status, at=min(one.since for one in silent)), "no_figures", text)


def unknown_dead_letters(service: str, status: BrokerStatus, told: int) -> Iterator[Anomaly]:
    """Dead letters that are in the queue and not in the history that was read."""
    held = status.dead_letters(service)
    if held is not None and held > told:
        text = f"{messages(held)} in {dlq(service)}, and the history tells nothing of {held - told}:"
        text += " the command `dlq list` shows them with their reasons"
        yield Anomaly(Kind.DEAD_LETTER, None, None, service, status.at, "not_in_history", text, held - told)


def _queue(service: str | None, status: BrokerStatus, reason: str, text: str, count: int = 1) -> Anomaly:
    return Anomaly(Kind.QUEUE, None, None, service, status.at, reason, text, count)


class FirstSeen:
    """Since when a monitor that stays sees what the broker does not date."""

    def __init__(self) -> None:
        self._since: dict[tuple[Kind, str | None, str], dt.datetime] = {}

    def dated(self, found: Sequence[Anomaly], now: dt.datetime) -> list[Anomaly]:
        """`found`, the state of queues dated from when it was first seen so. What is over is forgotten."""
        of_queues = {(a.kind, a.service, a.reason): a for a in found if _is_of_queues(a)}
        self._since = {key: self._since.get(key, min(now, a.since or now)) for key, a in of_queues.items()}
        return [
            replace(a, since=self._since[a.kind, a.service, a.reason]) if _is_of_queues(a) else a for a in found
        ]


def _is_of_queues(anomaly: Anomaly) -> bool:
    return anomaly.kind is Kind.QUEUE or anomaly.reason == "not_in_history"
