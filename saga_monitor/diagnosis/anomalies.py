"""What is wrong, each with a sentence that says what happened and what to do: judged from the events heard.

Only the orders in flight and those that are flagged are looked at, however many there are. What the broker says
of its queues is handed in as data (`broker_status.py`), so that judging needs no connection.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from choregraphie.terminal.formats import format_duration
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis import clocks, contradictions
from saga_monitor.analysis.anomaly import RECENT, Anomaly, Kind, Terms
from saga_monitor.analysis.saga_state import GIVEN_UP, Flag, State
from saga_monitor.diagnosis import case_queries, timeouts
from saga_monitor.diagnosis.broker_anomalies import queue_anomalies, untold_letters
from saga_monitor.diagnosis.case_queries import Case, SampledLetter
from saga_monitor.diagnosis.causes import GRACE, Known, Voice, Why, remedy, why
from saga_monitor.diagnosis.history_anomalies import history_anomalies
from saga_monitor.diagnosis.pending import PendingStep, waits
from saga_monitor.diagnosis.wording import because
from saga_monitor.projection.counters import Spread, bounded
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.sampling import Marks
from saga_monitor.projection.schema import instant
from saga_monitor.records.broker_status import BrokerStatus

__all__ = ["FADES", "RECENT", "Anomaly", "Kind", "Terms", "anomalies_of", "anomalies_of_order", "as_json"]

# A fact that nothing ends, since it was said; for whoever asks about its order, there is no end of it.
FADES = dt.timedelta(days=1)


_KIND_OF = {
    Flag.CONTRADICTION: Kind.CONTRADICTION,
    Flag.NOT_ALLOWED: Kind.NOT_ALLOWED,
    Flag.REPEATED_ORDER: Kind.REPEATED_ORDER,
}


@dataclass(frozen=True, slots=True)
class _Around:
    """What is the same for every order."""

    now: dt.datetime
    terms: Terms
    facts: BrokerStatus | None
    voices: dict[str, Voice]
    spreads: Mapping[str, Spread]

    def expected(self, service: str, undoing: bool) -> dt.timedelta:
        """How long a wait may last: see `patience`."""
        return timeouts.expected(self.spreads, service, undoing, self.terms.stuck_after)

    def marks(self) -> Marks:
        """What parts orders that wait for the same: whether their time is up, who was heard since."""
        late = {
            self.now - self.expected(service, undo) for service in CHOREOGRAPHY.services for undo in (False, True)
        }
        voices = self.voices.values()
        moments = sorted(late | {voice.at - GRACE for voice in voices})
        return Marks(moments, sorted(voice.offset for voice in voices))


def anomalies_of(queries: Queries, facts: BrokerStatus | None, now: dt.datetime, terms: Terms) -> list[Anomaly]:
    """Everything that is wrong now, the gravest first, of one kind the longest standing first."""
    around = _Around(now, terms, facts, case_queries.voices(queries), case_queries.step_spreads(queries))
    cases = case_queries.cases(queries, terms.stuck_after, now, around.marks())
    found = [anomaly for case in cases for anomaly in _of_order(case, around) if not _faded(anomaly, now)]
    found = _counted(found, case_queries.flagged_beyond(queries, cases, now - FADES))
    if facts is not None:
        found += list(queue_anomalies(queries, facts, found))
    found += [*_dead_letters(queries, facts, now), *_strangers(queries, now), *_skews(queries, now)]
    found += history_anomalies(queries, facts, now, terms)
    return sorted(found, key=_gravest)


def anomalies_of_order(
    queries: Queries, commande_id: str, facts: BrokerStatus | None, now: dt.datetime, terms: Terms
) -> list[Anomaly]:
    """What is wrong with one order."""
    around = _Around(now, terms, facts, case_queries.voices(queries), case_queries.step_spreads(queries))
    case = case_queries.case(queries, commande_id, now)
    return sorted(_of_order(case, around), key=_gravest) if case else []


def as_json(anomaly: Anomaly) -> dict[str, Any]:
    since = anomaly.since
    said = since.isoformat(timespec="milliseconds").replace("+00:00", "Z") if since else None
    return asdict(anomaly) | {"since": said}


def _gravest(anomaly: Anomaly) -> tuple[int, int, str]:
    return list(Kind).index(anomaly.kind), instant(anomaly.since) or 0, anomaly.commande_id or ""


def _faded(anomaly: Anomaly, now: dt.datetime) -> bool:
    return anomaly.kind in _KIND_OF.values() and anomaly.since is not None and now - anomaly.since > FADES


def _counted(anomalies: Sequence[Anomaly], beyond: Mapping[Flag, int]) -> list[Anomaly]:
    """The oldest of each kind stands for the flagged orders that were not looked at, for they are older."""
    counted = list(anomalies)
    for flag, kind in _KIND_OF.items():
        mine = [number for number, anomaly in enumerate(counted) if anomaly.kind == kind]
        if mine and beyond[flag]:
            oldest = min(mine, key=lambda number: _gravest(counted[number]))
            counted[oldest] = replace(counted[oldest], count=1 + beyond[flag])
    return counted


def _of_order(case: Case, around: _Around) -> Iterator[Anomaly]:
    yield from _waiting(case, around)
    id_, heard = case.order.commande_id, case.order.heard
    for fault in contradictions.contradictions(case.heard):
        text = f"{id_}: {fault.what}; compare the journal of {fault.service} with what really happened"
        yield Anomaly(Kind.CONTRADICTION, id_, fault.service, fault.event.time or heard, fault.reason, text)
    for fault in contradictions.not_allowed(case.heard):
        text = f"{id_}: {fault.what}; see which program speaks for {fault.service}"
        yield Anomaly(Kind.NOT_ALLOWED, id_, fault.service, fault.event.time or heard, fault.reason, text)
    starts = [event for event in case.heard.events if event.type == CHOREOGRAPHY.starts.TYPE]
    if len(starts) > 1:
        text = f"{id_}: {len(starts)} different orders have this id, and only the first is carried out:"
        text += f" the client should place the other{'s' if len(starts) > 2 else ''} again with a new id"
        yield Anomaly(Kind.REPEATED_ORDER, id_, None, starts[-1].time or heard, "same_id", text)


def _waiting(case: Case, around: _Around) -> Iterator[Anomaly]:
    order = case.order
    # A queue that is empty holds no letter of this order either: somebody sent it back, or threw it away.
    facts = around.facts
    letters = [one for one in case.dead_letters if facts is None or facts.dead_letters(one.service) != 0]
    known = Known(
        *(order.commande_id, order.heard, order.last_offset, around.now, around.terms.tries, around.facts),
        *(case.retries, letters, around.voices, order.state is State.COMPENSATED),
    )
    late = {}
    for wait in waits(order.state, order.at_rest, order.remaining, case.heard):
        given_up = any(one.service == wait.service and one.reason in GIVEN_UP for one in letters)
        if given_up or around.now - order.heard > around.expected(wait.service, wait.undoing):
            late[wait] = why(wait, known)
    undoings = {wait: reason for wait, reason in late.items() if wait.undoing}
    if undoings and order.state is State.COMPENSATING:
        yield from _half_undone(case, undoings)
    elif late:
        wait, reason = next(iter(late.items()))
        silent = format_duration((around.now - order.heard).total_seconds() * 1000)
        text = f"{order.commande_id} waits for {wait.awaited} of {wait.service}, silent for {silent}: "
        text += reason.sentence
        yield Anomaly(
            Kind.STUCK, order.commande_id, wait.service, order.heard, reason.reason, text, 1 + case.alike
        )


def _half_undone(case: Case, undoings: Mapping[PendingStep, Why]) -> Iterator[Anomaly]:
    id_ = case.order.commande_id
    for wait, reason in undoings.items():
        since = wait.called.time if wait.called else None
        text = f"{id_} is cancelled, and {wait.service} has not said {wait.awaited}: {reason.sentence}"
        yield Anomaly(
            Kind.HALF_UNDONE, id_, wait.service, since or case.order.heard, reason.reason, text, 1 + case.alike
        )


def _dead_letters(queries: Queries, facts: BrokerStatus | None, now: dt.datetime) -> Iterator[Anomaly]:
    for service in CHOREOGRAPHY.services:
        # The newest are those still there; without the broker's word, those of the last hour.
        held = facts.dead_letters(service) if facts else None
        if facts is None or held is None:
            letters = case_queries.newest_dead_letters(queries, service, None, now - RECENT)
        else:
            letters = case_queries.newest_dead_letters(queries, service, held)
            yield from untold_letters(service, facts, sum(1 + letter.alike for letter in letters))
        yield from map(_dead_letter, letters)


def _dead_letter(sampled: SampledLetter) -> Anomaly:
    letter = sampled.letter
    what = f"{letter.type or 'a message'} is in {letter.service}.dlq"
    of = f"{letter.commande_id}: " if letter.commande_id else ""
    text = f"{of}{what}: {because(letter.reason, letter.detail)}; {remedy(letter, undone=sampled.undone)}"
    return Anomaly(
        *(Kind.DEAD_LETTER, letter.commande_id, letter.service, letter.at, bounded(letter.reason), text),
        count=1 + sampled.alike,
        letter=letter.offset,
    )


def _strangers(queries: Queries, now: dt.datetime) -> Iterator[Anomaly]:
    for stranger in case_queries.strangers(queries, now - RECENT):
        text = (
            f"{stranger.commande_id}: {stranger.type} from {stranger.source} came by {stranger.exchange}, which"
            " is not its speaker's: nobody acts on it; see who may write to that exchange"
        )
        service = stranger.exchange.partition(".")[0]
        service = service if service in CHOREOGRAPHY.speakers else "stranger"
        yield Anomaly(Kind.NOT_ALLOWED, stranger.commande_id, service, stranger.at, "wrong_source", text)


def _skews(queries: Queries, now: dt.datetime) -> Iterator[Anomaly]:
    for skew in case_queries.skews(queries, now - RECENT):
        text = clocks.sentence(skew.commande_id, skew.cause, skew.effect, skew.worst_ms)
        yield Anomaly(Kind.CLOCK_SKEW, None, skew.effect, skew.at, f"against_{skew.cause}", text)
