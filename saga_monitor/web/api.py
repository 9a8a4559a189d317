"""The JSON answers, server-sent events, and the health of this monitor."""

import asyncio
import datetime as dt
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from choregraphie import UserError
from saga_monitor.diagnosis.anomalies import as_json
from saga_monitor.projection.dead_letters import mentions
from saga_monitor.reports import report
from saga_monitor.text.dead_letters import mentions_json
from saga_monitor.web.context import WebContext
from saga_monitor.web.filters import Filters, known, read_filters
from saga_monitor.web.live_updates import LiveUpdates
from saga_monitor.web.pages import requested_id


class Api:
    """One method per route."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def orders(self, request: Request) -> Response:
        filters, now = read_filters(request.query_params), dt.datetime.now(dt.UTC)
        with self._context.readers.reader() as reader:
            page = reader.page(filters, now)
        found = [report.summary(order) for order in page.orders]
        return JSONResponse({"orders": found, "newer": _address(page.newer), "older": _address(page.older)})

    def order(self, request: Request) -> Response:
        id_, now = requested_id(request), dt.datetime.now(dt.UTC)
        with self._context.readers.reader() as reader:
            order = reader.order(id_, now)
            if order is None:
                if found := mentions(reader, id_):
                    return JSONResponse(mentions_json(id_, found))
                raise HTTPException(404, f"No order {id_} in the history.")
            never_begun = report.without_beginning(order, now, self._context.terms.deadline)
            events, letters = reader.events(id_), reader.dead_letters(id_)
        return JSONResponse(report.detail(order, events, letters, never_begun=never_begun))

    def report(self, request: Request) -> Response:
        known(request.query_params, ())
        with self._context.readers.reader() as reader:
            view = self._context.view
            return JSONResponse(report.whole(reader, dt.datetime.now(dt.UTC), view.wrong if view.at else None))

    async def anomalies(self, request: Request) -> Response:
        """The anomalies of the last judgement.

        `broker_asked`: whether the broker answered. `known`: whether anything could be judged; without it an empty
        list says nothing. `total`: the sum of all `count`s. `within_usual_time`: STUCK orders that are no anomaly.
        """
        known(request.query_params, ())
        view = self._context.view
        found = [as_json(anomaly) for anomaly in view.anomalies]
        asked = view.status is not None
        about = {"at": report.rfc3339(view.at), "broker_asked": asked, "known": view.known}
        counts = {"total": view.wrong, "within_usual_time": view.in_time}
        return JSONResponse({**about, **counts, "anomalies": found})

    async def changes(self, _: Request) -> Response:
        """Server-sent events."""
        return _Changes(self._context.updates)

    async def lives(self, _: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def is_ready(self, _: Request) -> Response:
        """200 when the rows are current, else 503 with the reason."""
        try:
            standing = await asyncio.to_thread(self._standing)
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


def _address(filters: Filters | None) -> str | None:
    return filters.address("/api/orders") if filters else None
