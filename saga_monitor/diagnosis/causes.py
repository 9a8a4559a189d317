"""Why an answer is missing, and what to do about it: judged from what was heard and what the broker says. Pure."""

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
from saga_monitor.records.broker_status import BrokerStatus

# A message that is due comes back at the head of its queue's next look, not to the millisecond.
GRACE = dt.timedelta(seconds=5)
# How far back to look for what has no time of its own, before its order was last heard of.
_LONG_BEFORE = dt.timedelta(hours=1)
# After a crash RabbitMQ 3.10 can leave a queue without its server on a node that runs; rabbitmq-server#16652 tells
# it of 4.2.
START_NODES = "start the nodes that hold it, or restart those that run; what waits there is kept"


class Reason(StrEnum):
    """Why a service has not answered."""

    SET_ASIDE = "set_aside"  # the message is a dead letter
    NO_QUEUE = "no_queue"  # nobody was bound to the event: the inbox does not exist
    NO_LEADER = "no_leader"  # the inbox is there, and nothing gets in or out
    NO_CONSUMER = "no_consumer"  # no worker listens to the inbox
    RETRYING = "retrying"  # the message waits for its next try
    QUEUED = "queued"  # the worker is there, and others are before it
    HELD = "held"  # the worker is there, has nothing before it, and says nothing
    NEVER_CAME = "never_came"  # the worker answers others, and this event is nowhere
    NO_BEGINNING = (
        "no_beginning"  # what calls for the answer is not in the history, so the answer may not be either
    )
    UNKNOWN = "unknown"  # the broker could not be asked


@dataclass(frozen=True, slots=True)
class LastHeard:
    """When a service was last heard, of any order."""

    offset: int
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known around one order. `heard`, `last_offset`: when it last gave a sign, and where in the stream.

    `tries`: how many a message has. `undone`: the order was cancelled, and every undoing has answered.
    """

    commande_id: str
    heard: dt.datetime
    last_offset: int
    now: dt.datetime
    tries: int
    facts: BrokerStatus | None
    retries: Sequence[Retry] = ()
    dead_letters: Sequence[DeadLetter] = ()
    last_heard: dict[str, LastHeard] = field(default_factory=dict)
    undone: bool = False


@dataclass(frozen=True, slots=True)
class Cause:
    """`sentence` says what is the matter and what to do."""

    reason: Reason
    sentence: str


def why(wait: PendingStep, evidence: Evidence) -> Cause:
    """Why `wait` lasts: the first explanation that holds, the surest first."""
    if wait.called is None:
        return _set_aside(wait, evidence) or _retrying(wait, evidence) or _no_beginning(evidence)
    return (
        _set_aside(wait, evidence)
        or _asked(wait, wait.called, evidence)
        or _retrying(wait, evidence)
        or _on_its_way(wait, wait.called, evidence)
    )


def _set_aside(wait: PendingStep, evidence: Evidence) -> Cause | None:
    mine = [letter for letter in evidence.dead_letters if letter.service == wait.service]
    called = wait.called.identity if wait.called else None
    letter = next((one for one in mine if (one.source, one.event_id) == called), mine[-1] if mine else None)
    if letter is None:
        return None
    message = f"its {letter.type or 'message'} is in {wait.service}.dlq: {because(letter.reason, letter.detail)}"
    return Cause(Reason.SET_ASIDE, f"{message}; {remedy(letter, undone=evidence.undone)}")


def _asked(wait: PendingStep, called: HeardEvent, evidence: Evidence) -> Cause | None:
    """What the broker knows of the inbox."""
    if evidence.facts is None:
        return None
    queue, service = evidence.facts.inbox(wait.service), wait.service
    if evidence.facts.is_leaderless(inbox(service)):
        text = f"{inbox(service)} has no leader, so nothing gets in or out: {START_NODES}"
        return Cause(Reason.NO_LEADER, text)
    if inbox(service) in evidence.facts.unknown:
        text = (
            f"the broker does not let this monitor count {inbox(service)}, so why is not known: see who holds it"
        )
        return Cause(Reason.UNKNOWN, text)
    if queue is None:
        text = (
            f"the queue {inbox(service)} does not exist, so nobody was bound to {called.type}: restart a worker,"
        )
        return Cause(Reason.NO_QUEUE, f"{text} which declares it, then {_said_again(called, evidence)}")
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


def _on_its_way(wait: PendingStep, called: HeardEvent, evidence: Evidence) -> Cause:
    if evidence.facts is None:
        return Cause(Reason.UNKNOWN, "the broker could not be asked why: see whether it runs")
    queue, service = evidence.facts.inbox(wait.service), wait.service
    if queue and queue.messages:
        before = f"its worker is there, with {_messages(queue.messages)} before it"
        return Cause(Reason.QUEUED, f"{before}: wait, or start another worker")
    latest = evidence.last_heard.get(service)
    # Later in the stream, for clocks differ; and by a while, for the worker may have had others in hand.
    if latest and latest.offset > evidence.last_offset and latest.at > evidence.heard + GRACE:
        text = f"{service} answers other orders and {called.type} is in none of its queues, so it never came:"
        text += f" most likely {_unbound(service, called)}; restart its worker, which binds it again, then"
        return Cause(Reason.NEVER_CAME, f"{text} {_said_again(called, evidence)}")
    text = f"its worker is there and {inbox(service)} is empty, so it holds the message or never had it:"
    text += f" it may be that {_unbound(service, called)}; look at the log of {service} and restart it, which also"
    text += " binds it again; if it stays silent,"
    return Cause(Reason.HELD, f"{text} {_said_again(called, evidence)}")


def _unbound(service: str, called: HeardEvent) -> str:
    return f"{inbox(service)} is not bound to {events(called.service)} for {called.type}"


def _no_beginning(evidence: Evidence) -> Cause:
    text = "what calls for it is not in the history, which was trimmed or lost, so it may have been said before:"
    return Cause(
        Reason.NO_BEGINNING,
        f"{text} `python -m services journal {evidence.commande_id}` tells what was done for it",
    )


def _said_again(called: HeardEvent, evidence: Evidence) -> str:
    """How a message that was lost is sent once more: an outbox has only what its service has decided."""
    if called.service not in CHOREOGRAPHY.services:
        return f"the client must send {called.type} again, with the same event id"
    since = (called.time or evidence.heard - _LONG_BEFORE).astimezone(dt.UTC)
    return f"`python -m services outbox resend --service {called.service} --since {since:%Y-%m-%dT%H:%M:%SZ}`"


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
