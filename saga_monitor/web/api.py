"""The JSON answers, server-sent events, and the health of this monitor."""

import datetime as dt
import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from choregraphie import UserError
from choregraphie.saga.envelope import Instance
from saga_monitor.diagnosis.anomalies import as_json
from saga_monitor.diagnosis.grouping import how_many, of_saga
from saga_monitor.projection.aggregates import aggregates_of_all
from saga_monitor.projection.dead_letters import mentions
from saga_monitor.projection.threads import run_in_thread
from saga_monitor.reports import report
from saga_monitor.reports.report import field_name
from saga_monitor.text.dead_letters import mentions_json
from saga_monitor.web.context import WebContext
from saga_monitor.web.filters import known, read_filters, read_saga
from saga_monitor.web.identity import requested_instance, requested_key
from saga_monitor.web.live_updates import LiveUpdates


class Api:
    """One method per route."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def instances(self, request: Request) -> Response:
        """A page of the list, of all sagas or of the one that the parameter `saga` names."""
        return self._list(request, None, "instances")

    def of_saga(self, name: str) -> Callable[[Request], Response]:
        """The same for one saga, under its noun."""
        many = field_name(self._context.sagas.noun_of(name)[1])
        saga = name if self._context.sagas.several else None
        return lambda request: self._list(request, saga, many)

    def _list(self, request: Request, saga: str | None, many: str) -> Response:
        sagas, now = self._context.sagas, dt.datetime.now(dt.UTC)
        filters = read_filters(request.query_params, sagas)
        filters = filters if saga is None else replace(filters, saga=saga)
        with self._context.readers.reader() as reader:
            page = reader.page(filters, now)
        found = [report.summary(instance, sagas) for instance in page.instances]
        newer, older = (other and other.address(request.url.path) for other in (page.newer, page.older))
        return JSONResponse({many: found, "newer": newer, "older": older})

    def instance(self, request: Request) -> Response:
        """One instance with its steps, events and dead letters."""
        instance = requested_instance(request, self._context.sagas)
        return self._detail(instance)

    def instance_of(self, name: str) -> Callable[[Request], Response]:
        """The same for one saga, whose name is not in the path."""
        return lambda request: self._detail(Instance(name, requested_key(request)))

    def _detail(self, instance: Instance) -> Response:
        sagas, now = self._context.sagas, dt.datetime.now(dt.UTC)
        choreography = sagas.by_name[instance.saga]
        with self._context.readers.reader() as reader:
            summary = reader.instance(instance, now)
            if summary is None:
                if found := mentions(reader, instance.key, instance.saga):
                    return JSONResponse(mentions_json(sagas, instance.saga, instance.key, found))
                raise HTTPException(404, f"No {choreography.noun[0]} {instance.key} in the history.")
            never_begun = report.without_beginning(summary, choreography, now, self._context.thresholds.deadline)
            events, letters = reader.events(instance), reader.dead_letters(instance)
        return JSONResponse(report.detail(summary, sagas, events, letters, never_begun=never_begun))

    def report(self, request: Request) -> Response:
        saga, now = self._saga(request), dt.datetime.now(dt.UTC)
        with self._context.readers.reader() as reader:
            view, figures = self._context.view, functools.partial(aggregates_of_all, reader, now)
            found = view.anomalies if view.at else None
            return JSONResponse(report.whole(self._context.sagas, figures, found, saga))

    def _saga(self, request: Request) -> str | None:
        known(request.query_params, ("saga",))
        return read_saga(request.query_params, self._context.sagas) or None

    async def anomalies(self, request: Request) -> Response:
        """The anomalies of the last judgement.

        `broker_asked`: whether the broker answered. `known`: whether anything could be judged; without it an empty
        list says nothing. `total`: the sum of all `count`s. `within_usual_time`: how many STUCK ones are none.
        """
        saga, view = self._saga(request), self._context.view
        mine = of_saga(view.anomalies, saga)
        found = [as_json(anomaly, self._context.sagas) for anomaly in mine]
        asked = view.status is not None
        about = {"at": report.rfc3339(view.at), "broker_asked": asked, "known": view.known}
        counts = {"total": how_many(mine), "within_usual_time": view.in_time.get(saga, 0)}
        return JSONResponse({**about, **counts, "anomalies": found})

    async def changes(self, _: Request) -> Response:
        """Server-sent events."""
        return _Changes(self._context.updates)

    async def lives(self, _: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def is_ready(self, _: Request) -> Response:
        """200 when the rows are current, else 503 with the reason."""
        try:
            standing = await run_in_thread(self._standing)
        except UserError:
            return PlainTextResponse("the projection cannot be read\n", 503)
        if standing.ready:
            return PlainTextResponse(f"{standing.word}\n")
        as_of = report.rfc3339(standing.as_of) or "no time yet"
        return PlainTextResponse(f"{standing.word}; what is shown was true at {as_of}\n", 503)

    def _standing(self) -> Any:
        with self._context.readers.reader() as reader:
            return self._context.standing(reader, dt.datetime.now(dt.UTC))


class _Changes(StreamingResponse):
    """Holds a place among the listeners while it streams, however it ends."""

    def __init__(self, updates: LiveUpdates) -> None:
        headers = {"x-accel-buffering": "no"}
        super().__init__(updates.changes(), media_type="text/event-stream", headers=headers)
        self._updates = updates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._updates.listening() as heard:
            if heard:
                await super().__call__(scope, receive, send)
            else:
                full = PlainTextResponse(f"{self._updates.most_listeners} pages listen already.\n", 503)
                await full(scope, receive, send)
