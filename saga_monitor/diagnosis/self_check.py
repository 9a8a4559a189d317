"""Whether the monitor itself is up to date: how far its reading lags, and whether the broker answers."""

import datetime as dt
from dataclasses import dataclass

from saga_monitor.diagnosis.anomalies import Anomaly, Kind
from saga_monitor.projection import position
from saga_monitor.projection.queries import Queries
from saga_monitor.records.broker_status import BrokerStatus

# A restart of the broker is shorter, and nobody has to be called for it.
NO_ANSWER_FOR = dt.timedelta(minutes=1)
# The first reading of a long history takes some minutes.
BEHIND_FOR = dt.timedelta(minutes=5)


class SelfCheck:
    """Remembers when the broker last answered, and when the reading was last up to date."""

    def __init__(self) -> None:
        self._answered: dt.datetime | None = None
        self._caught_up: dt.datetime | None = None

    def check(self, *, answered: bool, caught_up: bool, now: dt.datetime) -> list[Anomaly]:
        """At most one anomaly of the monitor itself."""
        if answered or self._answered is None:
            self._answered = now
        # While the broker is away nothing can be read. That is one anomaly, not two.
        if caught_up or not answered or self._caught_up is None:
            self._caught_up = now
        if now - self._answered >= NO_ANSWER_FOR:
            return [_blind("no_answer", self._answered, f"the broker has not answered since {_AT}: {_ASK}")]
        if now - self._caught_up >= BEHIND_FOR:
            return [
                _blind("behind", self._caught_up, f"the reading has been behind the history since {_AT}: {_WAIT}")
            ]
        return []


_AT = "{:%H:%M:%S} UTC"
_UNSEEN = "until then new trouble is not seen, and alerts that are open stay so"
_ASK = f"see whether it runs and whether SAGA_AMQP_URL leads to it; {_UNSEEN}"
_WAIT = f"wait, or see what else this machine is doing; {_UNSEEN}"


def _blind(reason: str, since: dt.datetime, sentence: str) -> Anomaly:
    text = f"the monitor is blind, for {sentence.format(since)}"
    return Anomaly(Kind.BLIND, None, None, None, since, reason, text)


def blind_spots(*, answered: bool, fresh: bool, as_of: dt.datetime | None, now: dt.datetime) -> list[Anomaly]:
    """What a command cannot know: the queues while the broker does not answer, and events that were not read."""
    found = []
    if not answered:
        text = "the broker does not answer, so what its queues hold is not known: see whether it runs and whether"
        found.append(
            Anomaly(Kind.BLIND, None, None, None, as_of or now, "no_answer", f"{text} SAGA_AMQP_URL leads to it")
        )
    if not fresh:
        since = f"since {as_of:%Y-%m-%d %H:%M:%S} UTC" if as_of else "yet: nothing was ever read"
        text = f"the history has not been read to its end {since}; what was said after that is not known"
        found.append(Anomaly(Kind.BLIND, None, None, None, as_of, "behind", text))
    return found


# An idle reader notes twice a second that it has reached the end; under load it never reaches it.
JUST_NOW = dt.timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Lag:
    """None: not known. `entries` is approximate: the broker's count of a stream's entries lags a little."""

    entries: int | None
    seconds: float | None


UNKNOWN = Lag(None, None)


def behind(queries: Queries, answers: BrokerStatus | None, now: dt.datetime) -> Lag:
    """How far the file behind `queries` lags the stream described by `answers`."""
    read, caught_up = position.read_up_to(queries)
    last, first = (answers.last_offset, answers.first_offset or 0) if answers else (None, 0)
    # Entries that the stream has dropped cannot be read any more.
    entries = None if last is None else max(0, last - max(first - 1, -1 if read is None else read))
    if entries == 0 or (caught_up is not None and now - caught_up < JUST_NOW):
        return Lag(entries, 0.0)
    heard = position.newest_heard(queries)
    return Lag(entries, max(0.0, (now - heard).total_seconds()) if heard else None)
