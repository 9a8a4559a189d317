"""Checks whether the monitor sees: no data is not good news, so blindness is an anomaly."""

import datetime as dt

from saga_monitor.diagnosis.anomalies import Anomaly, Kind

# A broker that restarts is away for less, and nobody need get up for it.
NO_ANSWER_FOR = dt.timedelta(minutes=1)
# Reading a long history for the first time takes a while.
BEHIND_FOR = dt.timedelta(minutes=5)


class SelfCheck:
    """Remembers when the monitor saw last. Both times begin with the first look."""

    def __init__(self) -> None:
        self._answered: dt.datetime | None = None
        self._abreast: dt.datetime | None = None

    def look(self, *, answered: bool, abreast: bool, now: dt.datetime) -> list[Anomaly]:
        """What is wrong with the sight after this look: nothing, or one anomaly."""
        if answered or self._answered is None:
            self._answered = now
        # While the broker is away nothing can be read: that is said once, and not as being behind.
        if abreast or not answered or self._abreast is None:
            self._abreast = now
        if now - self._answered >= NO_ANSWER_FOR:
            return [_blind("no_answer", self._answered, f"the broker has not answered since {_AT}: {_ASK}")]
        if now - self._abreast >= BEHIND_FOR:
            return [
                _blind("behind", self._abreast, f"the reading has been behind the history since {_AT}: {_WAIT}")
            ]
        return []


_AT = "{:%H:%M:%S} UTC"
_UNSEEN = "until then new trouble is not seen, and alerts that are open stay so"
_ASK = f"see whether it runs and whether SAGA_AMQP_URL leads to it; {_UNSEEN}"
_WAIT = f"wait, or see what else this machine is doing; {_UNSEEN}"


def _blind(reason: str, since: dt.datetime, sentence: str) -> Anomaly:
    text = f"the monitor is blind, for {sentence.format(since)}"
    return Anomaly(Kind.BLIND, None, None, since, reason, text)


def blind_spots(*, answered: bool, fresh: bool, as_of: dt.datetime | None, now: dt.datetime) -> list[Anomaly]:
    """What a single answer cannot know: the queues, when the broker was not `answered`; the newest events."""
    found = []
    if not answered:
        text = "the broker does not answer, so what its queues hold is not known: see whether it runs and whether"
        found.append(
            Anomaly(Kind.BLIND, None, None, as_of or now, "no_answer", f"{text} SAGA_AMQP_URL leads to it")
        )
    if not fresh:
        since = f"since {as_of:%Y-%m-%d %H:%M:%S} UTC" if as_of else "yet: nothing was ever read"
        text = f"the history has not been read to its end {since}; what was said after that is not known"
        found.append(Anomaly(Kind.BLIND, None, None, as_of, "behind", text))
    return found
