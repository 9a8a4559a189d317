"""The pages of instances: the list, one instance, a key, and raw events."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from choregraphie.saga.envelope import Instance
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.diagnosis.anomalies import anomalies_of_instance
from saga_monitor.projection.dead_letters import mentions
from saga_monitor.projection.queries import SagaSummary, Totals
from saga_monitor.projection.threads import run_in_thread
from saga_monitor.projection.time_series import percentiles
from saga_monitor.reports.report import PLACED_STATES
from saga_monitor.text.tables import searched_names, took
from saga_monitor.web import diagram, narrative
from saga_monitor.web.compensation import compensation
from saga_monitor.web.context import WebContext
from saga_monitor.web.figure_pages import DEAD_LETTERS_SHOWN
from saga_monitor.web.filters import IN_FLIGHT, STATES, read_filters
from saga_monitor.web.identity import requested_instance, requested_key
from saga_monitor.web.raw_events import RawUnavailableError
from saga_monitor.web.reader import Reader
from saga_monitor.web.templating import instance_path

_LATELY_MINUTES = 5


class Pages:
    """One method per route. Starlette runs those without `async` on threads."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def instances(self, request: Request) -> Response:
        filters, now = read_filters(request.query_params, self._context.sagas), _now()
        saga, shown = filters.saga or None, self._context.sagas.only(filters.saga or None)
        with self._context.readers.reader() as reader:
            return self._context.page(
                request,
                "instances.html",
                reader,
                saga=filters.saga,
                now=now,
                filters=filters,
                page=reader.page(filters, now),
                lately=_lately(reader, now, saga),
                in_flight=IN_FLIGHT,
                states=STATES,
                tiles=_tiles(reader.totals(now, 0, saga)),
                flags=tuple(Flag),
                searched=searched_names(shown),
                steps="; ".join(", ".join(step.name for step in one.steps) for one in shown),
                several=shown.several,
                took=took(shown.noun[0]),
            )

    def instance(self, request: Request) -> Response:
        instance, now = requested_instance(request, self._context.sagas), _now()
        with self._context.readers.reader() as reader:
            summary = reader.instance(instance, now)
            if summary is not None:
                return self._page(request, reader, summary, now)
            # The key may belong to a message that began no instance.
            return self._mentions(request, reader, instance.key, instance.saga)

    def key(self, request: Request) -> Response:
        """The instance with that key; the choice, if several sagas have one."""
        key, now = requested_key(request), _now()
        with self._context.readers.reader() as reader:
            found = reader.instances_with(key, now)
            if len(found) == 1:
                return RedirectResponse(instance_path(found[0]), 307)
            return self._mentions(request, reader, key, None, found)

    def moved(self, saga: str) -> Callable[[Request], Response]:
        """Leads from an address without the saga's name to the instance's page."""
        return lambda request: RedirectResponse(instance_path(Instance(saga, requested_key(request))), 308)

    def _mentions(
        self, request: Request, reader: Reader, key: str, saga: str | None, others: list[SagaSummary] | None = None
    ) -> Response:
        """The page of a key without an instance, or of several sagas' instances."""
        found = mentions(reader, key, saga)
        if not found and not others:
            noun = self._context.sagas.noun_of(saga)[0]
            raise HTTPException(404, f"No {noun} {key} in the history.")
        noun = self._context.sagas.noun_of(saga)[0]
        return self._context.page(request, "key.html", reader, key=key, found=found, of=noun, others=others or [])

    def _page(self, request: Request, reader: Reader, summary: SagaSummary, now: dt.datetime) -> Response:
        context, instance = self._context, summary.instance
        roles = context.roles[instance.saga]
        choreography = roles.choreography
        events, retries = reader.events(instance), reader.retries(instance)
        letters = reader.newest_dead_letters(DEAD_LETTERS_SHOWN, instance)
        entries = narrative.timeline_entries(roles, summary, events, retries, letters)
        sizes = diagram.SIZES
        return context.page(
            request,
            "instance.html",
            reader,
            now=now,
            instance=summary,
            of=choreography.noun[0],
            orchestrator=choreography.orchestrator,
            whole_time=narrative.whole_time(summary, now),
            headline=narrative.headline(summary, choreography, now, context.thresholds.deadline),
            reason=narrative.reason(entries),
            reason_by=narrative.reason_by(entries),
            step_words={step.step: narrative.step_word(summary, step, choreography) for step in summary.steps},
            remaining=narrative.remaining(summary, roles),
            compensation=compensation(summary, choreography, entries),
            timeline_entries=entries,
            drawings=[diagram.of_instance(roles, entries, size, summary.at_rest) for size in sizes],
            anomalies=anomalies_of_instance(reader, instance, context.view.status, now, context.thresholds),
        )

    async def raw(self, request: Request) -> Response:
        """The events as they were published. Only this page reads the stream."""
        instance = requested_instance(request, self._context.sagas)
        events = await run_in_thread(self._events, instance)
        said, error_text = [], ""
        try:
            said = await self._context.archive.said(events)
        except RawUnavailableError as error:
            error_text = str(error)
        values = {"instance": instance, "said": said, "trouble": error_text}
        return await run_in_thread(self._raw, request, values)

    def _events(self, instance: Instance) -> list[Any]:
        with self._context.readers.reader() as reader:
            shift = reader.shift()
            events = [replace(event, offset=event.offset - shift) for event in reader.events(instance)]
        if not events:
            noun = self._context.sagas.noun_of(instance.saga)[0]
            raise HTTPException(404, f"No {noun} {instance.key} in the history.")
        return events

    def _raw(self, request: Request, values: dict[str, Any]) -> Response:
        with self._context.readers.reader() as reader:
            return self._context.page(request, "raw.html", reader, **values)


def _tiles(totals: Totals) -> tuple[State, ...]:
    """UNKNOWN stands last, and only when there is any: it is no instance."""
    return (*PLACED_STATES, *([State.UNKNOWN] if totals.state(State.UNKNOWN) else []))


def _lately(reader: Reader, now: dt.datetime, saga: str | None) -> dict[str, Any]:
    minute = int(now.timestamp()) // 60
    seen = reader.seen_between(minute - _LATELY_MINUTES, minute, _LATELY_MINUTES, saga).get(0, {})
    p50, p95 = percentiles(seen, (50, 95))
    return {
        "minutes": _LATELY_MINUTES,
        "started": seen.get("started", 0),
        "settled": seen.get("completed", 0) + seen.get("compensated", 0),
        "p50": p50,
        "p95": p95,
    }


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
