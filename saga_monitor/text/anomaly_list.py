"""The anomalies of one command: judged once, shown as sentences or as objects for a program."""

import datetime as dt
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from choregraphie.saga.saga_set import SagaSet
from choregraphie.terminal.formats import format_count
from saga_monitor.diagnosis.anomalies import Anomaly, Thresholds, anomalies_of
from saga_monitor.diagnosis.grouping import how_many, of_saga, within_usual_time
from saga_monitor.diagnosis.self_check import blind_spots
from saga_monitor.diagnosis.wording import flag_words
from saga_monitor.projection.queries import Queries
from saga_monitor.records.broker_status import LASTING, BrokerStatus
from saga_monitor.text.freshness import Freshness
from saga_monitor.text.tables import safe

# More queues than that are counted, not named.
MOST_NAMES = 5


def anomalies_in_words(anomalies: Iterable[Anomaly]) -> str:
    """`1 anomaly`, `2,340 anomalies`."""
    number = how_many(anomalies)
    return f"{format_count(number)} anomal{'y' if number == 1 else 'ies'}"


def in_time_words(number: int) -> str:
    """How many instances are STUCK and no anomaly, in words; empty for 0."""
    return f"{format_count(number)} more STUCK, within the time that their step usually takes" if number else ""


def whole_sentence(anomaly: Anomaly) -> str:
    """The sentence, with how many other instances or dead letters it stands for; others say their count."""
    is_an_example = anomaly.key is not None or anomaly.letter is not None
    others = anomaly.count - 1 if is_an_example else 0
    return f"{anomaly.sentence} (and {format_count(others)} more like it)" if others else anomaly.sentence


@dataclass(frozen=True, slots=True)
class Judgement:
    """The anomalies now. `in_time`: how many instances are STUCK and no anomaly."""

    anomalies: Sequence[Anomaly]
    in_time: int

    @property
    def total(self) -> int:
        """The number of anomalies."""
        return how_many(self.anomalies)


def judge_now(
    queries: Queries,
    status: BrokerStatus | None,
    freshness: Freshness,
    thresholds: Thresholds,
    saga: str | None = None,
) -> Judgement:
    """The anomalies by the file and by `status`, which must be older than the last reading of the history.

    `saga`: only those of that saga, and those of no saga.
    """
    now = dt.datetime.now(dt.UTC)
    judged = of_saga(anomalies_of(queries, status, now, thresholds), saga)
    in_time = within_usual_time(queries.totals(now, saga=saga).stuck, judged, now, thresholds.stuck_after)
    blind = blind_spots(answered=status is not None, fresh=freshness.fresh, as_of=freshness.as_of, now=now)
    return Judgement([*blind, *judged], in_time)


def say_that_it_waits(status: BrokerStatus) -> None:
    """Tell on standard error why the answer takes so long."""
    names = [*dict.fromkeys(one.queue for one in status.problems)]
    queues = ", ".join(names) if len(names) <= MOST_NAMES else f"{len(names)} queues"
    text = f"saga_monitor: {queues}: no leader, no figures or hidden messages, which may pass"
    print(f"{text}; looking again in {LASTING.total_seconds():.0f} s", file=sys.stderr)


def anomaly_view(found: Sequence[Anomaly], sagas: SagaSet, in_time: int = 0, *, full: bool) -> RenderableType:
    """`in_time`: how many instances are STUCK and no anomaly. `full`: one line per anomaly, however long."""
    more = f" · {words}" if (words := in_time_words(in_time)) else ""
    if not found:
        return Text(f"nothing is wrong{more}", style="green")
    shown = (_line(anomaly, sagas) if full else _paragraph(anomaly, sagas) for anomaly in found)
    return Group(*shown, Text(f"{anomalies_in_words(found)}{more}", style="bold"))


def kind_words(anomaly: Anomaly, sagas: SagaSet) -> str:
    """What kind of anomaly it is, in words."""
    return flag_words(anomaly.kind, sagas.noun_of(anomaly.saga)[0])


def _line(anomaly: Anomaly, sagas: SagaSet) -> Text:
    line = Text(f"{_since(anomaly)}  ", style="dim")
    line.append(f"{kind_words(anomaly, sagas):<15}", style="bold red")
    line.append_text(safe(_sentence(anomaly), limit=1000))
    return line


def _paragraph(anomaly: Anomaly, sagas: SagaSet) -> RenderableType:
    """Kind and time, and below them the sentence, wrapped between words."""
    head = Text(kind_words(anomaly, sagas).upper(), style="bold red")
    head.append(f"  {_since(anomaly)}", style="dim")
    return Group(head, Padding(safe(_sentence(anomaly), limit=1000), (0, 0, 1, 4)))


def _sentence(anomaly: Anomaly) -> str:
    shows = f" (`python -m saga_monitor letter {anomaly.letter}` shows it)" if anomaly.letter is not None else ""
    return f"{whole_sentence(anomaly)}{shows}"


def _since(anomaly: Anomaly) -> str:
    return anomaly.since.strftime("%Y-%m-%d %H:%M:%SZ") if anomaly.since else "-"
