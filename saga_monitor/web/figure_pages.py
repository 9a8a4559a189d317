"""The pages of figures and of what is wrong: anomalies, charts, the choreography with live counts."""

import datetime as dt
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from choregraphie.terminal.formats import format_count
from saga_monitor.diagnosis.grouping import grouped, how_many, of_saga
from saga_monitor.diagnosis.letter_faults import LETTERS_JUDGED, letter_faults
from saga_monitor.projection.queries import Totals
from saga_monitor.web import axes, charts, diagram
from saga_monitor.web.context import WebContext
from saga_monitor.web.filters import known, read_saga

DEAD_LETTERS_SHOWN = 100
_LATELY_MINUTES = 5


class FigurePages:
    """One method per route, each on a thread. Each shows one saga where the parameter `saga` names it."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def anomalies(self, request: Request) -> Response:
        saga = self._saga(request, "saga")
        view = self._context.view
        shown = of_saga(view.anomalies, saga or None)
        with self._context.readers.reader() as reader:
            return self._context.page(
                request,
                "anomalies.html",
                reader,
                saga=saga,
                view=view,
                groups=grouped(shown),
                shown=how_many(shown),
                queued_letters=self._queued_letters(),
                letters=reader.newest_dead_letters(DEAD_LETTERS_SHOWN, saga=saga or None),
                faults=letter_faults(reader, saga or None),
                judged=LETTERS_JUDGED,
                program=self._context.thresholds.command,
            )

    def charts(self, request: Request) -> Response:
        saga, now = self._saga(request, "saga", "window"), dt.datetime.now(dt.UTC)
        window = axes.window(request.query_params.get("window") or "1h", now)
        many = self._context.sagas.noun_of(saga or None)[1]
        with self._context.readers.reader() as reader:
            spans = reader.seen_between(window.first, window.after, window.step, saga or None)
            return self._context.page(
                request,
                "charts.html",
                reader,
                saga=saga,
                now=now,
                window=window,
                windows=tuple(axes.WINDOWS),
                charts=[make(spans, window, many) for make in charts.ALL],
                width=axes.WIDTH,
                left=axes.LEFT,
                height=axes.HEIGHT,
            )

    def choreography(self, request: Request) -> Response:
        """One saga's choreography: the first one's unless another is named."""
        saga, now = self._saga(request, "saga"), dt.datetime.now(dt.UTC)
        shown = saga or next(iter(self._context.sagas.by_name))
        roles = self._context.roles[shown]
        types = [said.TYPE for said in roles.in_order]
        with self._context.readers.reader() as reader:
            minute = int(now.timestamp()) // 60
            first, steps = minute - _LATELY_MINUTES, _LATELY_MINUTES + 1
            lately = reader.seen_between(first, minute + 1, steps, shown).get(0, {})
            totals = reader.totals(now, 0, shown)
            counts = {type_: _count(type_, totals, lately) for type_ in types}
            weights = _weights({type_: totals.count(f"said.{type_}") for type_ in types})
            return self._context.page(
                request,
                "choreography.html",
                reader,
                saga=saga,
                shown=shown,
                now=now,
                drawings=[diagram.of_choreography(roles, counts, weights, size) for size in diagram.SIZES],
                decider=roles.choreography.decider,
                orchestrator=roles.choreography.orchestrator,
                lately=_LATELY_MINUTES,
                rows=[_figures(type_, totals, lately) for type_ in types],
            )

    def _saga(self, request: Request, *parameters: str) -> str:
        known(request.query_params, parameters)
        return read_saga(request.query_params, self._context.sagas)

    def _queued_letters(self) -> int:
        status = self._context.view.status
        return sum(status.dead_letters(service) or 0 for service in self._context.sagas.services) if status else 0


def _figures(type_: str, totals: Totals, lately: dict[str, int]) -> tuple[Any, ...]:
    """The type, and how often it was said, lately, and is awaited."""
    said = f"said.{type_}"
    return type_, totals.count(said), lately.get(said, 0), totals.count(f"awaited.{type_}")


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
