"""Finds why an answer is missing and what to do, from the events heard and the state of the queues. Pure."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from choregraphie.saga.choreography import Choreography
from choregraphie.saga.topology import dlq, events, inbox
from saga_monitor.analysis.events_of_saga import HeardEvent
from saga_monitor.analysis.interventions import GIVEN_UP, is_over
from saga_monitor.analysis.messages import GRACE, DeadLetter, Hold, Retry
from saga_monitor.diagnosis.pending import PendingStep
from saga_monitor.diagnosis.wording import because
from saga_monitor.projection.models import LastHeard
from saga_monitor.records.broker_status import BrokerStatus

# Where to begin resending when the lost event has no time: so long before its instance was last heard.
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
    OUTSIDE_DOWN = "outside_down"  # its inbox is held, because an outside system is down
    RETRYING = "retrying"  # the message waits for its next try
    QUEUED = "queued"  # a worker is there, with other messages before this one
    UNRESPONSIVE = "unresponsive"  # a worker is there, its inbox is empty, and it does not answer
    NEVER_CAME = "never_came"  # the worker answers other instances, and this event is in no queue
    NO_BEGINNING = "no_beginning"  # the history lacks the event that asks for the answer, and perhaps the answer
    UNKNOWN = "unknown"  # the broker could not be asked


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about one instance. `heard`, `last_offset`: the time and the offset of its last entry.

    `tries`: how many tries the settings give a message. `undone`: it was cancelled, every undoing has answered.
    `command`: how a person starts the application's command line. `foreign`: the services that others run.
    """

    choreography: Choreography
    command: str
    key: str
    heard: dt.datetime
    last_offset: int
    now: dt.datetime
    tries: int
    status: BrokerStatus | None
    retries: Sequence[Retry] = ()
    dead_letters: Sequence[DeadLetter] = ()
    last_heard: dict[str, LastHeard] = field(default_factory=dict)
    undone: bool = False
    foreign: frozenset[str] = frozenset()
    holds: Sequence[Hold] = ()


@dataclass(frozen=True, slots=True)
class Cause:
    """`sentence` says what is wrong and what to do."""

    reason: Reason
    sentence: str


def cause_of(wait: PendingStep, evidence: Evidence) -> Cause:
    """Why `wait` is not answered: the first explanation that holds, the most certain first."""
    if not wait.triggers:
        return _set_aside(wait, evidence) or _retrying(wait, evidence) or _no_beginning(evidence)
    return (
        _set_aside(wait, evidence)
        or _held(wait, evidence)
        or _by_the_inbox(wait, evidence)
        or _retrying(wait, evidence)
        or _by_silence(wait, evidence)
    )


def _set_aside(wait: PendingStep, evidence: Evidence) -> Cause | None:
    mine = [letter for letter in evidence.dead_letters if letter.service == wait.service]
    triggers = {trigger.identity for trigger in wait.triggers}
    letter = next((one for one in mine if (one.source, one.event_id) in triggers), mine[-1] if mine else None)
    if letter is None:
        return None
    message = f"its {letter.type or 'message'} is in {wait.service}.dlq: {because(letter.reason, letter.detail)}"
    todo = remedy(letter, evidence.choreography, evidence.command, undone=evidence.undone)
    return Cause(Reason.SET_ASIDE, f"{message}; {todo}")


def _held(wait: PendingStep, evidence: Evidence) -> Cause | None:
    hold = next((one for one in evidence.holds if one.service == wait.service), None)
    return Cause(Reason.OUTSIDE_DOWN, hold_sentence(hold)) if hold else None


def hold_sentence(hold: Hold) -> str:
    """Why a service holds its inbox, since when and until when, and what to do."""
    why = (
        f"{hold.outside} is down{_detail(hold.detail)}: {hold.service} holds its inbox since {_clock(hold.since)}"
    )
    until = f", until {_clock(hold.until)} at the latest, when the usual tries begin" if hold.until else ""
    return f"{why}{until}: bring {hold.outside} back, and everything goes on"


def _by_the_inbox(wait: PendingStep, evidence: Evidence) -> Cause | None:
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
        text = f"the queue {inbox(service)} does not exist, so nobody was bound to {_types(wait)}: "
        text += f"{how_to_declare(service, evidence.foreign)}, which declares it, then"
        return Cause(Reason.NO_QUEUE, f"{text} {_resend_commands(wait, evidence)}")
    if not queue.consumers:
        text = f"{inbox(service)} has no consumer and {messages(queue.messages)}"
        return Cause(Reason.NO_CONSUMER, f"{text}: {how_to_start(service, evidence.command, evidence.foreign)}")
    return None


def _retrying(wait: PendingStep, evidence: Evidence) -> Cause | None:
    retried = [one for one in evidence.retries if one.service == wait.service]
    last = retried[-1] if retried else None
    if last is None or last.next is None or last.next <= evidence.now - GRACE:
        return None
    usual = evidence.tries
    tries = usual if wait.undoing else evidence.choreography.tries_of(wait.step, usual)
    tried = f"try {last.attempt} of {tries} failed{_detail(last.detail)}; the next is at {_clock(last.next)}"
    return Cause(Reason.RETRYING, f"{tried}: wait, or mend what {wait.service} needs")


def _by_silence(wait: PendingStep, evidence: Evidence) -> Cause:
    if evidence.status is None:
        return Cause(Reason.UNKNOWN, "the broker could not be asked why: see whether it runs")
    queue, service = evidence.status.inbox(wait.service), wait.service
    if queue and queue.messages:
        before = f"its worker is there, with {messages(queue.messages)} before it"
        more = "start another where it is run" if service in evidence.foreign else "start another worker"
        return Cause(Reason.QUEUED, f"{before}: wait, or {more}")
    latest, declare = evidence.last_heard.get(service), how_to_declare(service, evidence.foreign)
    # Later in the stream, because clocks differ; and by some seconds, because the worker may have been busy.
    if latest and latest.offset > evidence.last_offset and latest.at > evidence.heard + GRACE:
        others = evidence.choreography.noun[1]
        text = f"{service} answers other {others} and {_types(wait)} is in none of its queues, so it never came:"
        text += f" most likely {_unbound(wait)}; {declare}, which binds it again, then"
        return Cause(Reason.NEVER_CAME, f"{text} {_resend_commands(wait, evidence)}")
    text = f"its worker is there and {inbox(service)} is empty, so it holds the message or never had it:"
    text += f" it may be that {_unbound(wait)}; look at the log of {service} and {declare}, which"
    text += " also binds it again; if it stays silent,"
    return Cause(Reason.UNRESPONSIVE, f"{text} {_resend_commands(wait, evidence)}")


def _types(wait: PendingStep) -> str:
    return " or ".join(trigger.type for trigger in wait.triggers)


def _unbound(wait: PendingStep) -> str:
    bindings = " or ".join(f"to {events(trigger.service)} for {trigger.type}" for trigger in wait.triggers)
    return f"{inbox(wait.service)} is not bound {bindings}"


def _no_beginning(evidence: Evidence) -> Cause:
    text = "what calls for it is not in the history, which was trimmed or lost, so it may have been said before:"
    return Cause(
        Reason.NO_BEGINNING,
        f"{text} `{evidence.command} journal {evidence.key}` tells what was done for it",
    )


def how_to_start(service: str, command: str, foreign: frozenset[str]) -> str:
    """The remedy for an inbox that nobody hears. `command` starts the application's command line."""
    if service in foreign:
        return f"{service} is a foreign service; start it where it is run"
    return f"start a worker with `{command} run {service}`"


def how_to_declare(service: str, foreign: frozenset[str]) -> str:
    """The remedy for a queue or a binding that is gone. A foreign service's are declared by every worker."""
    if service in foreign:
        return "restart any worker of the application"
    return f"restart the worker of {service}"


def how_to_resend(service: str, command: str, since: str) -> str:
    """The command that sends what a service has said since a time once more."""
    return f"`{command} outbox resend --service {service} --since {since}`"


def _resend_commands(wait: PendingStep, evidence: Evidence) -> str:
    """How to send again what was lost: of a join, any of the events that it awaits."""
    return " and ".join(dict.fromkeys(_resend_command(trigger, evidence) for trigger in wait.triggers))


def _resend_command(trigger: HeardEvent, evidence: Evidence) -> str:
    """How to send a lost message again. An outbox holds only the events of its own service."""
    if trigger.service not in evidence.choreography.services:
        return f"the client must send {trigger.type} again, with the same event id"
    if trigger.service in evidence.foreign:
        return f"the foreign service {trigger.service} must send {trigger.type} again, with the same event id"
    since = (trigger.time or evidence.heard - _LONG_BEFORE).astimezone(dt.UTC)
    return how_to_resend(trigger.service, evidence.command, f"{since:%Y-%m-%dT%H:%M:%SZ}")


def remedy(letter: DeadLetter, choreography: Choreography | None, command: str, *, undone: bool) -> str:
    """What to do about a dead letter of a saga, None when that is not known.

    `command` starts the application's command line. `undone`: its instance was cancelled and undone since.
    """
    named = letter.letter or "ID"
    discard = f"`{command} dlq discard {named} --because TEXT` takes it out of {dlq(letter.service)}"
    if letter.reason not in GIVEN_UP:
        return f"tell whoever sent it, then {discard}"
    if undone and choreography and is_over(choreography, letter.type):
        return f"its {choreography.noun[0]} was cancelled and undone since: {discard}"
    return f"mend the cause, then `{command} dlq replay {named}` sends it back to {letter.service}"


def _detail(detail: str) -> str:
    return f" ({detail[:200]})" if detail else ""


def messages(count: int) -> str:
    """How many messages, in words."""
    return f"{count} message{'' if count == 1 else 's'}"


def _clock(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).strftime("%H:%M:%S UTC")
