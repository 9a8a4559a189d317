"""What is wrong with the broker's queues, whatever the history tells: counted by the broker itself."""

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from choregraphie.saga.topology import HISTORY, dlq, dlx, events, inbox, requeue, retry
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.anomaly import Anomaly, Kind
from saga_monitor.diagnosis import case_queries
from saga_monitor.diagnosis.causes import START_NODES, Reason
from saga_monitor.projection.queries import Queries
from saga_monitor.records.broker_status import BrokerStatus, QueueTrouble, Trouble

# A message comes back a little later than it says, from a queue that others stand before it in.
LATE_AT_MOST = dt.timedelta(minutes=5)


def queue_anomalies(queries: Queries, facts: BrokerStatus, found: Collection[Anomaly]) -> Iterator[Anomaly]:
    """What the queues hold or lack, as far as `found`, the anomalies of orders, does not say it already."""
    told = {anomaly.service for anomaly in found if anomaly.reason in {Reason.NO_CONSUMER, Reason.NO_QUEUE}}
    yield from _leaderless(facts)
    yield from _hidden(facts)
    for service in CHOREOGRAPHY.services:
        if service not in told:
            yield from _inbox(service, facts)
        yield from _retries(queries, service, facts)
    yield from _missing(facts, told)
    yield from _unbound(facts)
    yield from _not_counted(facts)


def _inbox(service: str, facts: BrokerStatus) -> Iterator[Anomaly]:
    queue = facts.inbox(service)
    if queue and queue.messages and not queue.consumers:
        text = f"{inbox(service)} has no consumer and {_messages(queue.messages)}: start a worker with"
        text += f" `python -m services run {service}`"
        yield _queue(service, facts, "no_consumer", text, queue.messages)


def _retries(queries: Queries, service: str, facts: BrokerStatus) -> Iterator[Anomaly]:
    waiting = sum(facts.queues[name].messages for name in facts.retry_queues(service) if name in facts.queues)
    if not waiting:
        return
    untold = waiting - case_queries.retries_under_way(queries, service, facts.at - LATE_AT_MOST)
    if untold > 0:
        text = (
            f"{_messages(waiting)} in the queues {retry(service)}.* for another try, and the history tells nothing"
        )
        text += f" of {untold}: see the log of {service}; what cannot be done ends in {dlq(service)}"
        yield _queue(service, facts, "retrying", text, untold)


def _missing(facts: BrokerStatus, told: Collection[str | None]) -> Iterator[Anomaly]:
    if facts.asked and not facts.queues and not facts.unknown:
        text = "none of the saga's queues exists on this broker: start the workers, which declare them, or see"
        text += " whether SAGA_AMQP_URL names the right broker and virtual host"
        yield _queue(None, facts, "missing", text)
        return
    for service in CHOREOGRAPHY.services:
        missing = [name for name in (inbox(service), dlq(service)) if facts.lacks(name)]
        if service in told:
            missing = [name for name in missing if name != inbox(service)]
        ladder = facts.retry_queues(service)
        # Where none of them exists, the workers were given other delays than this monitor.
        if any(name in facts.queues for name in ladder):
            missing += [name for name in ladder if facts.lacks(name)]
        if missing:
            text = (
                f"{', '.join(missing)} {'does' if len(missing) == 1 else 'do'} not exist, or the node that holds"
            )
            text += (
                f" them is down: what is sent there is lost; restart the worker of {service}, which declares them"
            )
            yield _queue(service, facts, "missing", text, len(missing))


def _unbound(facts: BrokerStatus) -> Iterator[Anomaly]:
    for queue in dict.fromkeys(binding.queue for binding in facts.unbound):
        lost = [binding for binding in facts.unbound if binding.queue == queue]
        to = ", ".join(f"{binding.exchange} ({binding.key})" for binding in lost)
        text = f"{queue} is not bound to {to}: the broker confirms what is said there, and does not deliver it to"
        if queue == HISTORY:
            text += " the history, so nobody hears it here; restart a worker, which binds it again"
            yield Anomaly(Kind.BLIND, None, None, facts.at, "unbound", text)
            continue
        service = queue.partition(".")[0]
        text += f" {service}; restart the worker of {service}, which binds it again"
        said = [s for s in CHOREOGRAPHY.services if any(binding.exchange == events(s) for binding in lost)]
        for speaker in said:
            text += f", then `python -m services outbox resend --service {speaker} --since TIME`"
        if said:
            text += f", with a TIME before it was lost: it was seen at {facts.at:%Y-%m-%dT%H:%M:%SZ}"
        yield _queue(service, facts, "unbound", text, len(lost))


def _leaderless(facts: BrokerStatus) -> Iterator[Anomaly]:
    """The queues without a leader of each service, and the history."""
    for service, troubles in _by_service(facts.lasting(Trouble.NO_LEADER)):
        text = f"{', '.join(one.queue for one in troubles)} {'has' if len(troubles) == 1 else 'have'} no leader:"
        text += f" nothing gets in or out, and the broker counts 0 whatever waits there; {START_NODES}"
        since = min(one.since for one in troubles)
        if service is None:
            yield Anomaly(Kind.BLIND, None, None, since, "no_leader", f"{text}; until then nothing is heard here")
        else:
            yield Anomaly(Kind.QUEUE, None, service, since, "no_leader", text, len(troubles))


def _hidden(facts: BrokerStatus) -> Iterator[Anomaly]:
    for service, troubles in _by_service(facts.lasting(Trouble.HIDDEN)):
        count = sum(one.count for one in troubles)
        held = ", ".join(f"{one.count} in {one.queue}" for one in troubles)
        ways = dict.fromkeys(_way_out(str(service), one.queue) for one in troubles)
        text = f"{_messages(count)} {'is' if count == 1 else 'are'} neither ready nor with a worker: {held};"
        text += f" the broker cannot dead-letter them: see that {' and '.join(ways)}; then they follow by"
        text += (
            " themselves. One that still stays was published with the x-death of an earlier dead-lettering, and"
        )
        text += " has to be said again"
        yield Anomaly(Kind.QUEUE, None, service, min(one.since for one in troubles), "hidden", text, count)


def _way_out(service: str, queue: str) -> str:
    exchange, to = (requeue, inbox) if queue.startswith(f"{retry(service)}.") else (dlx, dlq)
    return f"the exchange {exchange(service)} exists and leads to {to(service)}, which must take messages"


def _by_service(troubles: Sequence[QueueTrouble]) -> Iterator[tuple[str | None, list[QueueTrouble]]]:
    """None: the history."""
    for service in (*CHOREOGRAPHY.services, None):
        mine = [
            one for one in troubles if (None if one.queue == HISTORY else one.queue.partition(".")[0]) == service
        ]
        if mine:
            yield service, mine


def _not_counted(facts: BrokerStatus) -> Iterator[Anomaly]:
    refused = sorted(name for name in facts.unknown if not facts.is_leaderless(name))
    if refused:
        text = f"the broker does not let this monitor count {', '.join(refused)}: what they hold is not"
        text += " known; see who holds them, and which rights this user has"
        yield Anomaly(Kind.BLIND, None, None, facts.at, "not_counted", text)
    if facts.unasked:
        text = (
            f"{facts.unasked}: whether every queue is bound and has a leader, and whether messages are hidden in"
        )
        text += " one, is not known; see SAGA_MANAGEMENT_URL"
        yield Anomaly(Kind.BLIND, None, None, facts.at, "bindings_not_known", text)
    if silent := facts.lasting(Trouble.NO_FIGURES):
        names = (
            "any of its queues" if len(silent) >= len(facts.queues) - 1 else ", ".join(one.queue for one in silent)
        )
        text = (
            f"RabbitMQ's management gives no figures of {names}: whether messages are hidden there is not known;"
        )
        text += " see its log, whether its statistics are switched off, and whether SAGA_MANAGEMENT_URL names the"
        text += " same broker as SAGA_AMQP_URL"
        yield _queue(None, replace(facts, at=min(one.since for one in silent)), "no_figures", text)


def untold_letters(service: str, facts: BrokerStatus, told: int) -> Iterator[Anomaly]:
    """The dead letters that stand in the queue, and of which the history told nothing that was read."""
    held = facts.dead_letters(service)
    if held is not None and held > told:
        text = f"{_messages(held)} in {dlq(service)}, and the history tells nothing of {held - told}:"
        text += " look at them with the broker's own tools; each has its reason in the header x-saga-reason"
        yield Anomaly(Kind.DEAD_LETTER, None, service, facts.at, "not_in_history", text, held - told)


def _queue(service: str | None, facts: BrokerStatus, reason: str, text: str, count: int = 1) -> Anomaly:
    return Anomaly(Kind.QUEUE, None, service, facts.at, reason, text, count)


def _messages(count: int) -> str:
    return f"{count} message{'' if count == 1 else 's'}"


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
