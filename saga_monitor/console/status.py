"""The last reports of the reader and of the anomaly loop, for the next redraw."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from choregraphie.saga.envelope import Instance
from saga_monitor.diagnosis.anomalies import Anomaly
from saga_monitor.text.freshness import Link

NOTICE_SECONDS = 60.0


@dataclass
class ConsoleStatus:
    """The reader reports to it.

    `anomalies`: None until they were judged, at `judged_at`. `as_of`: when the content of the file was true.
    """

    connection: Link = field(default_factory=Link)
    anomalies: Sequence[Anomaly] | None = None
    in_time: int = 0  # instances that are STUCK and no anomaly
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

    def touched(self, instances: Sequence[Instance]) -> None:
        """Only note that something was read: the next redraw asks the file."""
        self.ever_read = True

    def judged(self, anomalies: Sequence[Anomaly], now: dt.datetime | None) -> None:
        """Note the anomalies judged at `now`; None: nothing could be judged yet."""
        self.anomalies, self.judged_at = anomalies, now

    def news(self, now: dt.datetime) -> list[tuple[str, str]]:
        """The messages about the connection and the stream, each with its style."""
        recent = self._notice and (now - self._notice[1]).total_seconds() < NOTICE_SECONDS
        notice = self._notice[0] if self._notice and recent else ""
        detail = self.connection.explained(self.as_of, now)
        return [(text, style) for text, style in ((detail, "red"), (notice, "bold yellow")) if text]
