"""Why an answer is missing, and what to do about it: judged from what was heard and what the broker says. Pure."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from contracts.topology import dlq, inbox, requeue
from saga_monitor.judging.waits import Wait
from saga_monitor.judging.words import because
from saga_monitor.progress import GIVEN_UP
from saga_monitor.reading.facts import Facts

# A message that is due comes back at the head of its queue's next look, not to the millisecond.
GRACE = dt.timedelta(seconds=5)


class Reason(StrEnum):
    """Why a service has not answered."""

    SET_ASIDE = "set_aside"  # the message is a dead letter
    NO_QUEUE = "no_queue"  # nobody was bound to the event: the inbox does not exist
    NO_CONSUMER = "no_consumer"  # no worker listens to the inbox
    RETRYING = "retrying"  # the message waits for its next try
    QUEUED = "queued"  # the worker is there, and others are before it
    HELD = "held"  # the worker is there, has nothing before it, and says nothing
    NEVER_CAME = "never_came"  # the worker answers others, and this event is nowhere
    UNKNOWN = "unknown"  # the broker could not be asked


@dataclass(frozen=True, slots=True)
class Retried:
    """The last failed try: number `attempt`; the next is at `next`."""

    service: str
    event_id: str | None
    attempt: int
    next: dt.datetime | None
    detail: str


@dataclass(frozen=True, slots=True)
class Dead:
    """A dead letter. `over`: nothing that it could lead to is awaited, for its order is undone since."""

    service: str
    event_id: str | None
    type: str | None
    reason: str
    detail: str
    at: dt.datetime
    over: bool = False


@dataclass(frozen=True, slots=True)
class Voice:
    """When a service was last heard, of any order."""

    offset: int
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What is known around one order. `heard`: when it last gave a sign; `tries`: how many a message has."""

    heard: dt.datetime
    now: dt.datetime
    tries: int
    facts: Facts | None
    retried: Sequence[Retried] = ()
    dead: Sequence[Dead] = ()
    voices: dict[str, Voice] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Why:
    """`sentence` says what is the matter and what to do."""

    reason: Reason
    sentence: str


def why(wait: Wait, known: Known) -> Why:
    """Why `wait` lasts: the first explanation that holds, the surest first."""
    return _set_aside(wait, known) or _asked(wait, known) or _on_its_way(wait, known)


def _set_aside(wait: Wait, known: Known) -> Why | None:
    mine = [letter for letter in known.dead if letter.service == wait.service]
    called = wait.called.id if wait.called else None
    letter = next((letter for letter in mine if letter.event_id == called), mine[-1] if mine else None)
    if letter is None:
        return None
    message = f"its {letter.type or 'message'} is in {wait.service}.dlq: {because(letter.reason, letter.detail)}"
    return Why(Reason.SET_ASIDE, f"{message}; {remedy(letter)}")


def _asked(wait: Wait, known: Known) -> Why | None:
    """What the broker knows of the inbox."""
    if known.facts is None:
        return None
    queue, service = known.facts.inbox(wait.service), wait.service
    if queue is None:
        lost = "the queue {} does not exist, so nobody was bound to {}: restart a worker, which declares it, "
        text = lost.format(inbox(service), _event(wait)) + "then `python -m services outbox resend --since 1h`"
        return Why(Reason.NO_QUEUE, text)
    if not queue.consumers:
        text = f"{inbox(service)} has no consumer and {_messages(queue.messages)}"
        return Why(Reason.NO_CONSUMER, f"{text}: start a worker with `python -m services run {service}`")
    return None


def _on_its_way(wait: Wait, known: Known) -> Why:
    retried = [one for one in known.retried if one.service == wait.service]
    last = retried[-1] if retried else None
    if last and last.next and last.next + GRACE > known.now:
        text = (
            f"try {last.attempt} of {known.tries} failed{_detail(last.detail)}; the next is at {_clock(last.next)}"
        )
        return Why(Reason.RETRYING, f"{text}: wait, or mend what {wait.service} needs")
    if known.facts is None:
        return Why(Reason.UNKNOWN, "the broker could not be asked why: see whether it runs")
    queue = known.facts.inbox(wait.service)
    if queue and queue.messages:
        return Why(
            Reason.QUEUED,
            f"its worker is there, with {_messages(queue.messages)} before it: wait, or start another worker",
        )
    return _nowhere(wait, known)


def _nowhere(wait: Wait, known: Known) -> Why:
    voice = known.voices.get(wait.service)
    if voice and voice.at > known.heard + GRACE:
        return Why(
            Reason.NEVER_CAME,
            f"{wait.service} answers other orders and {_event(wait)} is in none of its queues, so it never came:"
            f" restart its worker, which binds {inbox(wait.service)} again,"
            " then `python -m services outbox resend --since 1h`",
        )
    return Why(
        Reason.HELD,
        f"its worker is there and {inbox(wait.service)} is empty, so it holds the message or never had it:"
        f" look at the log of {wait.service}, and restart it",
    )


def remedy(letter: Dead) -> str:
    """What to do about a dead letter."""
    queue = dlq(letter.service)
    if letter.reason not in GIVEN_UP:
        return f"tell whoever sent it, then take it out of {queue}"
    if letter.over:
        return f"its order was cancelled and undone since, so it can be taken out of {queue}"
    return f"mend the cause, then move it from {queue} back through the exchange {requeue(letter.service)}"


def _event(wait: Wait) -> str:
    return wait.called.type if wait.called else f"what calls for {wait.awaited}"


def _detail(detail: str) -> str:
    return f" ({detail[:200]})" if detail else ""


def _messages(count: int) -> str:
    return f"{count} message{'' if count == 1 else 's'}"


def _clock(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).strftime("%H:%M:%S UTC")
