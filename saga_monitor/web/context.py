"""What all pages share: readers, live updates, the view of the anomalies, templates."""

import datetime as dt
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from choregraphie.saga.saga_set import SagaSet
from saga_monitor.alerting.watcher import View
from saga_monitor.diagnosis.anomalies import Thresholds
from saga_monitor.diagnosis.grouping import how_many, of_saga
from saga_monitor.text.anomaly_list import in_time_words
from saga_monitor.web.event_roles import EventRoles
from saga_monitor.web.live_updates import LiveStatus, LiveUpdates
from saga_monitor.web.raw_events import RawEventReader
from saga_monitor.web.reader import MOST_COUNTED, Reader, Readers
from saga_monitor.web.templating import environment

PAGES = (("/anomalies", "Anomalies"), ("/charts", "Charts"), ("/choreography", "Choreography"))


class ViewSource(Protocol):
    """Has the view of the last judgement: an `AlertWatcher`."""

    view: View


class WebContext:
    """Renders pages, on threads, each with its own reader."""

    def __init__(
        self,
        sagas: SagaSet,
        readers: Readers,
        updates: LiveUpdates,
        archive: RawEventReader,
        watch: ViewSource,
        thresholds: Thresholds,
    ) -> None:
        self.sagas, self.readers, self.updates, self.archive = sagas, readers, updates, archive
        self.thresholds = thresholds
        self.roles = {name: EventRoles(saga) for name, saga in sagas.by_name.items()}
        self._watch = watch
        self._templates = environment(sagas)

    @property
    def view(self) -> View:
        """The last judgement, some seconds old: a request never starts one."""
        return self._watch.view

    def page(self, request: Request, name: str, reader: Reader, status: int = 200, **values: Any) -> Response:
        """The page `name` with its `values` and those that all pages show.

        `saga` in `values`: the name of the only saga that is shown; all that is counted is counted of it alone,
        but for the anomalies of no saga, which count in each.
        """
        now = values.setdefault("now", dt.datetime.now(dt.UTC))
        saga = values.setdefault("saga", "") or None
        values |= {
            # Counts one more than is shown, to know when "+" must follow the number.
            "totals": reader.totals(now, MOST_COUNTED + 1, saga),
            "standing": self.standing(reader, now),
            "wrong": how_many(of_saga(self.view.anomalies, saga)),
            "in_time": in_time_words(self.view.in_time.get(saga, 0)),
        }
        return self.bare_page(request, name, status, **values)

    def bare_page(self, request: Request, name: str, status: int = 200, **values: Any) -> Response:
        """A page that reads nothing from the projection."""
        noun, nouns = self.sagas.noun_of(values.setdefault("saga", "") or None)
        pages = (("/", nouns.capitalize()), *PAGES)
        values |= {"pages": pages, "path": request.url.path, "noun": noun, "nouns": nouns}
        return HTMLResponse(self._templates.get_template(name).render(values), status)

    def standing(self, reader: Reader, now: dt.datetime) -> LiveStatus:
        return self.updates.standing(reader.as_of(), reader.last_offset(), now)
