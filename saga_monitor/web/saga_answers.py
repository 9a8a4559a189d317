"""Where one instance stands, for a program that waits for its end: `/api/sagas/{saga}/{key}?wait=10`.

A program that waits holds a connection and no thread. Whenever the file has changed, its instance is read again.
"""

import asyncio
import datetime as dt
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from choregraphie.saga.envelope import Instance
from saga_monitor.analysis.saga_state import Flag, State, has_beginning
from saga_monitor.projection.models import SagaSummary
from saga_monitor.projection.threads import run_in_thread
from saga_monitor.reports import report
from saga_monitor.reports.instance_report import instance_report
from saga_monitor.web.context import WebContext
from saga_monitor.web.filters import LONGEST_ID, BadRequestError
from saga_monitor.web.identity import requested_key
from saga_monitor.web.reader import Reader

# Proxies commonly end a request after a minute of silence.
LONGEST_WAIT_SECONDS = 30.0
# Each of them holds a connection. Further ones are answered at once, with the present state.
MOST_WAITING = 50
_TERMINAL = {State.COMPLETED, State.COMPENSATED}


class SagaAnswers:
    """The route, and how many requests wait."""

    def __init__(self, context: WebContext, most_waiting: int = MOST_WAITING) -> None:
        self._context = context
        self._most_waiting = most_waiting
        self._waiting = 0

    async def saga(self, request: Request) -> Response:
        """At once when the instance is terminal or needs a person, else after at most `wait` seconds."""
        saga, sagas = request.path_params["saga"], self._context.sagas.by_name
        if saga not in sagas:
            raise BadRequestError(f"there is no saga of that name; there is: {', '.join(sagas)}")
        instance, wait = (
            Instance(saga, requested_key(request, "wait")),
            _wait(request.query_params.get("wait", "0")),
        )
        with self._place() as free:
            found = await self._settled(instance, wait if free else 0.0, request)
        if isinstance(found, str):
            raise HTTPException(404, found)
        return JSONResponse(found)

    @contextmanager
    def _place(self) -> Iterator[bool]:
        """Hold a place among the waiting during the block; yields False when all are taken."""
        self._waiting += 1
        try:
            yield self._waiting <= self._most_waiting
        finally:
            self._waiting -= 1

    async def _settled(self, instance: Instance, wait: float, request: Request) -> dict[str, Any] | str:
        """The state once it is settled or the wait is over; a line when there is no such instance."""
        clock = asyncio.get_running_loop().time
        end, gone = clock() + wait, asyncio.ensure_future(_client_gone(request))
        try:
            while True:
                # Before the reading, so that no change after it is missed.
                changed = self._context.updates.next_change()
                found = await run_in_thread(self._read, instance)
                if _is_settled(found) or self._context.updates.stopping:
                    return found
                if not await _set_before(changed, gone, end - clock()):
                    return found
        finally:
            gone.cancel()

    def _read(self, instance: Instance) -> dict[str, Any] | str:
        choreography, now = self._context.sagas.by_name[instance.saga], dt.datetime.now(dt.UTC)
        with self._context.readers.reader() as reader:
            summary = reader.instance(instance, now)
            if summary is not None and has_beginning(summary.state):
                return _answer(reader, summary)
            standing = self._context.standing(reader, now)
        deadline = self._context.thresholds.deadline
        words = report.without_beginning(summary, choreography, now, deadline) if summary else None
        line = f"{instance.key}: {words}" if words else f"No {choreography.noun[0]} {instance.key} in the history"
        return f"{line}." if standing.ready else f"{line}; the monitor is not up to date ({standing.word})."


def _is_settled(found: dict[str, Any] | str) -> bool:
    return isinstance(found, dict) and (found["terminal"] or found["needs_person"])


async def _set_before(event: asyncio.Event, end: "asyncio.Future[Any]", seconds: float) -> bool:
    """Wait for `event`, at most that long and until `end` is done. Returns whether it was set."""
    waiting: asyncio.Future[Any] = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({waiting, end}, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    return event.is_set() and not end.done()


def _answer(reader: Reader, summary: SagaSummary) -> dict[str, Any]:
    return {
        "saga": summary.saga,
        "key": summary.key,
        "state": summary.state,
        "terminal": summary.state in _TERMINAL,
        "success": report.success(summary.state),
        "needs_person": Flag.INTERVENTION in summary.flags,
        "reason": instance_report(reader, summary)["error"],
        "remaining": list(summary.remaining),
        "flags": list(summary.flags),
        "since": report.rfc3339(summary.heard),
    }


def _wait(text: str) -> float:
    """The seconds to wait, at most LONGEST_WAIT_SECONDS. Raises BadRequestError."""
    try:
        seconds = float(text) if len(text) <= LONGEST_ID else math.nan
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise BadRequestError(f"wait: expected seconds, such as 10; at most {LONGEST_WAIT_SECONDS:.0f} are waited")
    return min(seconds, LONGEST_WAIT_SECONDS)


async def _client_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
