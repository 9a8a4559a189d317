"""Whether the monitor sees at all: what nobody judges is not well for that, so blindness is an anomaly too."""

import datetime as dt

from saga_monitor.anomalies import Anomaly, Kind
from saga_monitor.reading.facts import Facts

# A broker that restarts is away for less, and nobody need get up for it.
NO_ANSWER_FOR = dt.timedelta(minutes=1)
# Reading a long history for the first time takes a while.
BEHIND_FOR = dt.timedelta(minutes=5)


class Sight:
    """Remembers when the monitor saw last. Both times begin with the first look."""

    def __init__(self) -> None:
        self._answered: dt.datetime | None = None
        self._abreast: dt.datetime | None = None

    def look(self, answers: Facts | None, *, abreast: bool, now: dt.datetime) -> list[Anomaly]:
        """What is wrong with the sight after this look: nothing, or one anomaly."""
        if answers is not None or self._answered is None:
            self._answered = now
        # While the broker is away nothing can be read: that is said once, and not as being behind.
        if abreast or answers is None or self._abreast is None:
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
