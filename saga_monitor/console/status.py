"""What the reading and the judging have reported last; the next picture shows it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from saga_monitor.diagnosis.anomalies import Anomaly
from saga_monitor.text.freshness import Link

NOTICE_SECONDS = 60.0


@dataclass
class ConsoleStatus:
    """The listener that the reading reports to.

    `anomalies`: None until they were judged, at `judged_at`. `as_of`: when what the file holds was true.
    """

    connection: Link = field(default_factory=Link)
    anomalies: Sequence[Anomaly] | None = None
    in_time: int = 0  # orders that are STUCK and no anomaly
    judged_at: dt.datetime | None = None
    as_of: dt.datetime | None = None
    each_change: bool = False
    ever_read: bool = False
    _notice: tuple[str, dt.datetime] | None = None

    def link(self, word: str, detail: str = "") -> None:
        self.connection.change(word, detail, dt.datetime.now(dt.UTC))
        self.ever_read = self.ever_read or word == "live"

    def notice(self, text: str) -> None:
        self._notice = (text, dt.datetime.now(dt.UTC))

    def touched(self, commande_ids: Sequence[str]) -> None:
        """The next picture asks the store."""
        self.ever_read = True

    def judged(self, anomalies: Sequence[Anomaly], now: dt.datetime | None) -> None:
        """Take in what is wrong, judged at `now`; None: nothing could be judged yet."""
        self.anomalies, self.judged_at = anomalies, now

    def news(self, now: dt.datetime) -> list[tuple[str, str]]:
        """What there is to say of the link with the broker and of the stream."""
        recent = self._notice and (now - self._notice[1]).total_seconds() < NOTICE_SECONDS
        notice = self._notice[0] if self._notice and recent else ""
        detail = self.connection.explained(self.as_of, now)
        return [(text, style) for text, style in ((detail, "red"), (notice, "bold yellow")) if text]
