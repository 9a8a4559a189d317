"""Finds why an answer is missing and what to do, from the events heard and the state of the queues. Pure."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from choregraphie.saga.topology import dlq, events, inbox, requeue
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.events_of_saga import HeardEvent
from saga_monitor.analysis.interventions import GIVEN_UP, is_over
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.diagnosis.pending import PendingStep
from saga_monitor.diagnosis.wording import because
from saga_monitor.projection.models import LastHeard
from saga_monitor.records.broker_status import BrokerStatus

# RabbitMQ returns a delayed message some time after it is due.
GRACE = dt.timedelta(seconds=5)
# Where to begin resending when the lost event has no time: so long before its order was last heard.
_LONG_BEFORE = dt.timedelta(hours=1)
# After a crash RabbitMQ 3.10 can leave a queue without its server on a node that runs; rabbitmq-server#16652 tells
# it of 4.2.
START_NODES = "start the nodes that hold it, or restart those that run; what waits there is kept"


class Reason(StrEnum):
    """Why a service has not answered."""

    SET_ASIDE = "set_aside"  # the message is a dead letter
    NO_QUEUE = "no_queue"  # the inbox does not exist, so nothing was bound to the event
    NO_LEADER = "no_leader"  # the inbox is there, and nothing gets in or out
    NO_CONSUMER = "no_consumer"  # no worker listens to the inbox
    RETRYING = "retrying"  # the message waits for its next try
    QUEUED = "queued"  # a worker is there, with other messages before this one
    HELD = "held"  # a worker is there, its inbox is empty, and it does not answer
    NEVER_CAME = "never_came"  # the worker answers other orders, and this event is in no queue
    NO_BEGINNING = "no_beginning"  # the history lacks the event that asks for the answer, and perhaps the answer
    UNKNOWN = "unknown"  # the broker could not be asked


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about one order. `heard`, `last_offset`: the time and the offset of its last entry.

    `tries`: how many tries a message has. `undone`: the order was cancelled, and every undoing has answered.
    """

    commande_id: str
    heard: dt.datetime
    last_offset: int
    now: dt.datetime
    tries: int
    status: BrokerStatus | None
    retries: Sequence[Retry] = ()
    dead_letters: Sequence[DeadLetter] = ()
    last_heard: dict[str, LastHeard] = field(default_factory=dict)
    undone: bool = False


@dataclass(frozen=True, slots=True)
class Cause:
    """`sentence` says what is wrong and what to do."""

    reason: Reason
    sentence: str


def cause_of(wait: PendingStep, evidence: Evidence) -> Cause:
    """Why `wait` is not answered: the first explanation that holds, the most certain first."""
    if wait.trigger is None:
        return _set_aside(wait, evidence) or _retrying(wait, evidence) or _no_beginning(evidence)
    return (
        _set_aside(wait, evidence)
        or _by_the_inbox(wait, wait.trigger, evidence)
        or _retrying(wait, evidence)
        or _by_silence(wait, wait.trigger, evidence)
    )


def _set_aside(wait: PendingStep, evidence: Evidence) -> Cause | None:
    mine = [letter for letter in evidence.dead_letters if letter.service == wait.service]
    trigger = wait.trigger.identity if wait.trigger else None
    letter = next((one for one in mine if (one.source, one.event_id) == trigger), mine[-1] if mine else None)
    if letter is None:
        return None
    message = f"its {letter.type or 'message'} is in {wait.service}.dlq: {because(letter.reason, letter.detail)}"
    return Cause(Reason.SET_ASIDE, f"{message}; {remedy(letter, undone=evidence.undone)}")


def _by_the_inbox(wait: PendingStep, trigger: HeardEvent, evidence: Evidence) -> Cause | None:
    """An explanation from the state of the inbox."""
    if evidence.status is None:
        return None
    queue, service = evidence.status.inbox(wait.service), wait.service
    if evidence.status.is_leaderless(inbox(service)):
        text = f"{inbox(service)} has no leader, so nothing gets in or out: {START_NODES}"
        return Cause(Reason.NO_LEADER, text)
    if inbox(service) in evidence.status.unknown:
        text = (
            f"the broker does not let this monitor count {inbox(service)}, so why is not known: see who holds it"
        )
        return Cause(Reason.UNKNOWN, text)
    if queue is None:
        text = (
            f"the queue {inbox(service)} does not exist, so nobody was bound to {trigger.type}: restart a worker,"
        )
        return Cause(Reason.NO_QUEUE, f"{text} which declares it, then {_resend_command(trigger, evidence)}")
    if not queue.consumers:
        text = f"{inbox(service)} has no consumer and {_messages(queue.messages)}"
        return Cause(Reason.NO_CONSUMER, f"{text}: start a worker with `python -m services run {service}`")
    return None


def _retrying(wait: PendingStep, evidence: Evidence) -> Cause | None:
    retried = [one for one in evidence.retries if one.service == wait.service]
    last = retried[-1] if retried else None
    if last is None or last.next is None or last.next + GRACE <= evidence.now:
        return None
    tried = (
        f"try {last.attempt} of {evidence.tries} failed{_detail(last.detail)}; the next is at {_clock(last.next)}"
    )
    return Cause(Reason.RETRYING, f"{tried}: wait, or mend what {wait.service} needs")


def _by_silence(wait: PendingStep, trigger: HeardEvent, evidence: Evidence) -> Cause:
    if evidence.status is None:
        return Cause(Reason.UNKNOWN, "the broker could not be asked why: see whether it runs")
    queue, service = evidence.status.inbox(wait.service), wait.service
    if queue and queue.messages:
        before = f"its worker is there, with {_messages(queue.messages)} before it"
        return Cause(Reason.QUEUED, f"{before}: wait, or start another worker")
    latest = evidence.last_heard.get(service)
    # Later in the stream, because clocks differ; and by some seconds, because the worker may have been busy.
    if latest and latest.offset > evidence.last_offset and latest.at > evidence.heard + GRACE:
        text = f"{service} answers other orders and {trigger.type} is in none of its queues, so it never came:"
        text += f" most likely {_unbound(service, trigger)}; restart its worker, which binds it again, then"
        return Cause(Reason.NEVER_CAME, f"{text} {_resend_command(trigger, evidence)}")
    text = f"its worker is there and {inbox(service)} is empty, so it holds the message or never had it:"
    text += (
        f" it may be that {_unbound(service, trigger)}; look at the log of {service} and restart it, which also"
    )
    text += " binds it again; if it stays silent,"
    return Cause(Reason.HELD, f"{text} {_resend_command(trigger, evidence)}")


def _unbound(service: str, trigger: HeardEvent) -> str:
    return f"{inbox(service)} is not bound to {events(trigger.service)} for {trigger.type}"


def _no_beginning(evidence: Evidence) -> Cause:
    text = "what calls for it is not in the history, which was trimmed or lost, so it may have been said before:"
    return Cause(
        Reason.NO_BEGINNING,
        f"{text} `python -m services journal {evidence.commande_id}` tells what was done for it",
    )


def _resend_command(trigger: HeardEvent, evidence: Evidence) -> str:
    """How to send a lost message again. An outbox holds only the events of its own service."""
    if trigger.service not in CHOREOGRAPHY.services:
        return f"the client must send {trigger.type} again, with the same event id"
    since = (trigger.time or evidence.heard - _LONG_BEFORE).astimezone(dt.UTC)
    return f"`python -m services outbox resend --service {trigger.service} --since {since:%Y-%m-%dT%H:%M:%SZ}`"


def remedy(letter: DeadLetter, *, undone: bool) -> str:
    """What to do about a dead letter. `undone`: its order was cancelled and undone since."""
    queue = dlq(letter.service)
    if letter.reason not in GIVEN_UP:
        return f"tell whoever sent it, then take it out of {queue}"
    if undone and is_over(letter.type):
        return f"its order was cancelled and undone since, so it can be taken out of {queue}"
    return f"mend the cause, then move it from {queue} back through the exchange {requeue(letter.service)}"


def _detail(detail: str) -> str:
    return f" ({detail[:200]})" if detail else ""


def _messages(count: int) -> str:
    return f"{count} message{'' if count == 1 else 's'}"


def _clock(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).strftime("%H:%M:%S UTC")
