"""Dead letters that need somebody, by fault, with what the replay of each would do."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from choregraphie.dead_letters.effect import Effect, Prediction
from choregraphie.dead_letters.grouping import Fault, Group, fault_of, groups
from choregraphie.dead_letters.letter import Letter
from choregraphie.printable import printable
from saga_monitor.analysis.messages import DeadLetter
from saga_monitor.analysis.replays import predict
from saga_monitor.projection.open_letters import OpenLetter, open_letters, with_events
from saga_monitor.projection.queries import Queries

# The newest ones are judged. Each takes about 0.3 ms, and the page is drawn again after each change.
LETTERS_JUDGED = 300


@dataclass(frozen=True, slots=True)
class JudgedLetter:
    """A letter of the history, and what its replay would do."""

    letter: DeadLetter
    held: str
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class LetterFault:
    """The letters of one fault, the newest first, and how many have each effect when they are replayed."""

    group: Group
    effects: Mapping[Effect, int]
    letters: tuple[JudgedLetter, ...]


def letter_faults(queries: Queries, saga: str | None = None) -> list[LetterFault]:
    """The faults of the newest letters, of that saga or of all, in the sequence of `dlq list`.

    Raises DatabaseRefused.
    """
    judged = [_judge(queries, one) for one in open_letters(queries, LETTERS_JUDGED, saga)]
    by_fault: dict[Fault, list[JudgedLetter]] = {}
    letters = [_as_letter(one) for one in judged]
    for letter, one in zip(letters, judged, strict=True):
        by_fault.setdefault(fault_of(letter), []).append(one)
    return [_fault(group, by_fault[fault_of(group.example)]) for group in groups(letters)]


def judged_letter(queries: Queries, letter: DeadLetter) -> JudgedLetter:
    """One letter with what its replay would do. Raises DatabaseRefused."""
    return _judge(queries, with_events(queries, letter))


def _judge(queries: Queries, one: OpenLetter) -> JudgedLetter:
    return JudgedLetter(one.letter, one.held, predict(one.letter, one.saga, queries.sagas.foreign))


def _fault(group: Group, letters: Iterable[JudgedLetter]) -> LetterFault:
    found = tuple(letters)
    return LetterFault(group, Counter(one.prediction.effect for one in found), found)


def _as_letter(one: JudgedLetter) -> Letter:
    letter, copy = one.letter, one.letter.copy
    return Letter(
        service=letter.service,
        id=letter.letter,
        reason=letter.reason,
        detail=printable(letter.detail),
        at=letter.at,
        size=copy.size if copy else 0,
        routing_key=copy.routing_key if copy else "",
        type=letter.type,
        event_id=letter.event_id,
        source=letter.source,
        saga=letter.saga,
        key=letter.key,
        held=one.held,
    )
