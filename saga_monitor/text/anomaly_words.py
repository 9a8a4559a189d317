"""The words for anomalies and their number, shared by all screens."""

from collections.abc import Iterable

from choregraphie.terminal.formats import format_count
from saga_monitor.diagnosis.anomalies import Anomaly
from saga_monitor.diagnosis.grouping import how_many


def anomalies_in_words(anomalies: Iterable[Anomaly]) -> str:
    """`1 anomaly`, `2,340 anomalies`."""
    number = how_many(anomalies)
    return f"{format_count(number)} anomal{'y' if number == 1 else 'ies'}"


def in_time_words(number: int) -> str:
    """How many orders are STUCK and no anomaly; empty of none."""
    return f"{format_count(number)} more STUCK, within the time that their step usually takes" if number else ""


def whole_sentence(anomaly: Anomaly) -> str:
    """The sentence, with how many others it stands for."""
    others = anomaly.count - 1
    return f"{anomaly.sentence} (and {format_count(others)} more like it)" if others else anomaly.sentence
