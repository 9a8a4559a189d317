"""What every page of one monitor shares: its readers, the pulse, what the lookout sees, the templates."""

import datetime as dt
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from saga_monitor.alerting.watcher import View
from saga_monitor.diagnosis.anomalies import Thresholds
from saga_monitor.text.anomaly_list import in_time_words
from saga_monitor.web.live_updates import LiveStatus, LiveUpdates
from saga_monitor.web.raw_events import RawEventReader
from saga_monitor.web.reader import MOST_COUNTED, Reader, Readers
from saga_monitor.web.templating import environment

PAGES = (("/", "Orders"), ("/anomalies", "Anomalies"), ("/charts", "Charts"), ("/choreography", "Choreography"))


class ViewSource(Protocol):
    """Whoever looks out for anomalies: a `Lookout`."""

    view: View


class WebContext:
    """Pages are made on threads, each with a reader of its own."""

    def __init__(
        self, readers: Readers, updates: LiveUpdates, archive: RawEventReader, watch: ViewSource, terms: Thresholds
    ) -> None:
        self.readers, self.updates, self.archive = readers, updates, archive
        self.terms = terms
        self._watch = watch
        self._templates = environment()

    @property
    def view(self) -> View:
        """What the lookout saw last, some seconds ago: no visitor makes it look again."""
        return self._watch.view

    def page(self, request: Request, name: str, reader: Reader, status: int = 200, **values: Any) -> Response:
        """The page `name`, with what every page shows beside its own `values`."""
        now = values.setdefault("now", dt.datetime.now(dt.UTC))
        values |= {
            # One more than is shown, so that "+" stands after a number that there are more of.
            "totals": reader.totals(now, MOST_COUNTED + 1),
            "standing": self.standing(reader, now),
            "wrong": self.view.wrong,
            "in_time": in_time_words(self.view.in_time),
        }
        return self.bare_page(request, name, status, **values)

    def bare_page(self, request: Request, name: str, status: int = 200, **values: Any) -> Response:
        """A page that asks nothing of the projection."""
        values |= {"pages": PAGES, "path": request.url.path}
        return HTMLResponse(self._templates.get_template(name).render(values), status)

    def standing(self, reader: Reader, now: dt.datetime) -> LiveStatus:
        return self.updates.standing(reader.as_of(), reader.last_offset(), now)
