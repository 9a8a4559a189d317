"""The pages: orders, one order, anomalies, charts, the choreography."""

import asyncio
import datetime as dt
from dataclasses import replace
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from choregraphie.terminal.formats import format_count
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.diagnosis.anomalies import anomalies_of_order
from saga_monitor.projection.dead_letters import mentions
from saga_monitor.projection.queries import Totals
from saga_monitor.projection.time_series import percentiles
from saga_monitor.records.broker_status import BrokerStatus
from saga_monitor.reports.report import PLACED_STATES
from saga_monitor.text.tables import searched_names
from saga_monitor.web import axes, charts, diagram, narrative
from saga_monitor.web.context import WebContext
from saga_monitor.web.dead_letter_pages import key_page
from saga_monitor.web.event_roles import in_order
from saga_monitor.web.filters import IN_FLIGHT, LONGEST_ID, STATES, known, read_filters
from saga_monitor.web.raw_events import RawUnavailableError
from saga_monitor.web.reader import Reader

_DEAD_LETTERS_SHOWN = 100
_LATELY_MINUTES = 5
_SIZES = (diagram.WIDE, diagram.NARROW)


class Pages:
    """One method per route. Starlette runs those without `async` on threads."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def orders(self, request: Request) -> Response:
        filters, now = read_filters(request.query_params), _now()
        with self._context.readers.reader() as reader:
            return self._context.page(
                request,
                "orders.html",
                reader,
                now=now,
                filters=filters,
                page=reader.page(filters, now),
                lately=_lately(reader, now),
                in_flight=IN_FLIGHT,
                states=STATES,
                tiles=_tiles(reader.totals(now, 1)),
                flags=tuple(Flag),
                searched=searched_names(),
            )

    def order(self, request: Request) -> Response:
        id_, now = requested_id(request), _now()
        with self._context.readers.reader() as reader:
            order = reader.order(id_, now)
            if order is None:
                # The key may belong to a message that began no order.
                if found := mentions(reader, id_):
                    return key_page(self._context, request, reader, id_, found)
                raise HTTPException(404, f"No order {id_} in the history.")
            letters = reader.newest_dead_letters(_DEAD_LETTERS_SHOWN, id_)
            entries = narrative.timeline_entries(order, reader.events(id_), reader.retries(id_), letters)
            return self._context.page(
                request,
                "order.html",
                reader,
                now=now,
                order=order,
                whole_time=narrative.whole_time(order, now),
                headline=narrative.headline(order, now, self._context.terms.deadline),
                reason=narrative.reason(entries),
                reason_by=narrative.reason_by(entries),
                step_words={step.step: narrative.step_word(order, step) for step in order.steps},
                remaining=narrative.remaining(order),
                compensation=narrative.compensation(order),
                timeline_entries=entries,
                drawings=[diagram.of_order(entries, size, order.at_rest) for size in _SIZES],
                anomalies=anomalies_of_order(reader, id_, self._context.view.status, now, self._context.terms),
            )

    async def raw(self, request: Request) -> Response:
        """The events as they were published. Only this page reads the stream."""
        id_ = requested_id(request)
        events = await asyncio.to_thread(self._events, id_)
        said, error_text = [], ""
        try:
            said = await self._context.archive.said(events)
        except RawUnavailableError as error:
            error_text = str(error)
        return await asyncio.to_thread(self._raw, request, {"id": id_, "said": said, "trouble": error_text})

    def _events(self, id_: str) -> list[Any]:
        with self._context.readers.reader() as reader:
            shift = reader.shift()
            events = [replace(event, offset=event.offset - shift) for event in reader.events(id_)]
        if not events:
            raise HTTPException(404, f"No order {id_} in the history.")
        return events

    def _raw(self, request: Request, values: dict[str, Any]) -> Response:
        with self._context.readers.reader() as reader:
            return self._context.page(request, "raw.html", reader, **values)

    def anomalies(self, request: Request) -> Response:
        known(request.query_params, ())
        view = self._context.view
        with self._context.readers.reader() as reader:
            return self._context.page(
                request,
                "anomalies.html",
                reader,
                view=view,
                queued_letters=_queued_letters(view.status),
                letters=reader.newest_dead_letters(_DEAD_LETTERS_SHOWN),
            )

    def charts(self, request: Request) -> Response:
        known(request.query_params, ("window",))
        now = _now()
        window = axes.window(request.query_params.get("window") or "1h", now)
        with self._context.readers.reader() as reader:
            spans = reader.seen_between(window.first, window.after, window.step)
            return self._context.page(
                request,
                "charts.html",
                reader,
                now=now,
                window=window,
                windows=tuple(axes.WINDOWS),
                charts=[make(spans, window) for make in charts.ALL],
                width=axes.WIDTH,
                left=axes.LEFT,
                height=axes.HEIGHT,
            )

    def choreography(self, request: Request) -> Response:
        known(request.query_params, ())
        now = _now()
        with self._context.readers.reader() as reader:
            minute = int(now.timestamp()) // 60
            lately = reader.seen_between(minute - _LATELY_MINUTES, minute + 1, _LATELY_MINUTES + 1).get(0, {})
            totals = reader.totals(now)
            counts = {said.TYPE: _count(said.TYPE, totals, lately) for said in in_order()}
            weights = _weights({said.TYPE: totals.count(f"said.{said.TYPE}") for said in in_order()})
            return self._context.page(
                request,
                "choreography.html",
                reader,
                now=now,
                drawings=[diagram.of_choreography(counts, weights, size) for size in _SIZES],
                steps=CHOREOGRAPHY.steps,
                decider=CHOREOGRAPHY.decider,
                lately=_LATELY_MINUTES,
                rows=[
                    (
                        said.TYPE,
                        totals.count(f"said.{said.TYPE}"),
                        lately.get(f"said.{said.TYPE}", 0),
                        totals.count(f"awaited.{said.TYPE}"),
                    )
                    for said in in_order()
                ],
            )


def _tiles(totals: Totals) -> tuple[State, ...]:
    """UNKNOWN stands last, and only when there is any: it is no order."""
    return (*PLACED_STATES, *([State.UNKNOWN] if totals.state(State.UNKNOWN) else []))


def _queued_letters(status: BrokerStatus | None) -> int:
    return sum(status.dead_letters(service) or 0 for service in CHOREOGRAPHY.services) if status else 0


def requested_id(request: Request) -> str:
    """The order's id from the path.

    Raises HTTPException when no order can have it, and BadRequestError for any other parameter.
    """
    known(request.query_params, () if "id" in request.path_params else ("id",))
    id_ = request.path_params.get("id") or request.query_params.get("id")
    if id_ is None:
        raise HTTPException(404)
    if not 0 < len(id_) <= LONGEST_ID or "\x00" in id_ or _unstorable(id_):
        raise HTTPException(404, "No order has such an id.")
    return str(id_)


def _unstorable(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)


def _lately(reader: Reader, now: dt.datetime) -> dict[str, Any]:
    minute = int(now.timestamp()) // 60
    seen = reader.seen_between(minute - _LATELY_MINUTES, minute, _LATELY_MINUTES).get(0, {})
    p50, p95 = percentiles(seen, (50, 95))
    return {
        "minutes": _LATELY_MINUTES,
        "started": seen.get("started", 0),
        "settled": seen.get("completed", 0) + seen.get("compensated", 0),
        "p50": p50,
        "p95": p95,
    }


def _count(type_: str, totals: Totals, lately: dict[str, int]) -> str:
    awaited = totals.count(f"awaited.{type_}")
    parts = [
        format_count(totals.count(f"said.{type_}")),
        f"{n} lately" if (n := lately.get(f"said.{type_}", 0)) else "",
        f"{awaited} awaited" if awaited else "",
    ]
    return " · ".join(part for part in parts if part)


def _weights(counts: dict[str, int]) -> dict[str, int]:
    """0 for an event that never occurred, else 1 to 4 by its share of the most frequent one."""
    most = max(counts.values(), default=0) or 1
    return {type_: (1 + min(3, round(3 * count / most)) if count else 0) for type_, count in counts.items()}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
