"""What the reading and the judging have reported last; the next picture shows it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from saga_monitor.anomalies import Anomaly

NOTICE_SECONDS = 60.0


@dataclass
class Ear:
    """The listener that the reading reports to."""

    each_change: bool = False
    linked: tuple[str, str] = ("connecting", "")
    anomalies: Sequence[Anomaly] = ()
    _notice: tuple[str, dt.datetime] | None = None

    def link(self, word: str, detail: str = "") -> None:
        self.linked = (word, detail)

    def notice(self, text: str) -> None:
        self._notice = (text, dt.datetime.now(dt.UTC))

    def touched(self, commande_ids: Sequence[str]) -> None:
        """The next picture asks the store."""

    def news(self, now: dt.datetime) -> list[tuple[str, str]]:
        """What there is to say of the link with the broker and of the stream."""
        _, detail = self.linked
        recent = self._notice and (now - self._notice[1]).total_seconds() < NOTICE_SECONDS
        notice = self._notice[0] if self._notice and recent else ""
        return [(text, style) for text, style in ((detail, "red"), (notice, "bold yellow")) if text]
