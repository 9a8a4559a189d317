"""The call stage: makes the external calls of reactions, concurrently, before any transaction."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog

from choregraphie.errors import ResourceShortage
from choregraphie.failpoints import Place, passing
from choregraphie.logs import delivery_fields
from choregraphie.pipeline.context import CALLS, WorkerContext
from choregraphie.pipeline.executor import Begun
from choregraphie.pipeline.holds import Holds
from choregraphie.process.attribution import Party, attribute
from choregraphie.process.cancellation import cancellations
from choregraphie.service.transaction import ReadView
from choregraphie.storage.invocation import Invocation

log = structlog.get_logger()

_AT_ONCE = contextlib.nullcontext()


class ExternalCalls:
    """Hands each invocation on with the answer to its call, or with the failure."""

    def __init__(self, context: WorkerContext, holds: Holds, hand_on: Callable[[Invocation], None]) -> None:
        self._context = context
        self._holds = holds
        self._hand_on = hand_on
        self._waiting: deque[tuple[Invocation, ReadView]] = deque()
        self._free = context.settings.calls
        self.under_way: set[asyncio.Task[None]] = set()

    def start(self, begun: list[Begun], tasks: asyncio.TaskGroup) -> None:
        """Make the calls that begin, in tasks of `tasks`; hand on the invocations that make none."""
        for invocation, view in begun:
            if view is None:
                self._hand_on(invocation)
            else:
                self._waiting.append((invocation, view))
        for _ in range(min(len(self._waiting), self._free)):
            self._free -= 1
            calling = tasks.create_task(self._make_waiting())
            self.under_way.add(calling)
            calling.add_done_callback(self.under_way.discard)

    async def _make_waiting(self) -> None:
        """Make one call after another, until none waits."""
        while self._waiting:
            invocation, view = self._waiting.popleft()
            delivery_fields.set(invocation.bound)  # the task is this delivery's until the next
            self._hand_on(await self._answered(invocation, view))
        self._free += 1

    async def _answered(self, invocation: Invocation, view: ReadView) -> Invocation:
        """Make the call. When the first try fails, make it again at once; while its breaker is open, as a probe.

        After a failure the outcome is unknown; another call with the same idempotency key is safe.
        """
        declared, asked = invocation.handler.breaker, 0
        breaker = self._holds.of(declared) if declared else None
        while True:
            async with self._holds.turn(breaker) if breaker and breaker.is_open else _AT_ONCE:
                answered = await self._ask(invocation, view)
                held = breaker is not None and await self._holds.note(breaker, answered.failure)
            asked += 1
            if answered.failure is None or (asked > 1 and not held):
                return answered

    async def _ask(self, invocation: Invocation, view: ReadView) -> Invocation:
        passing(Place.BEFORE_CALL)
        before = cancellations()
        try:
            with self._context.tracing.call(invocation):
                answer = await self._with_resources(invocation, view)
        except asyncio.CancelledError:
            if cancellations() > before:
                raise
            # The task group would ignore it, and the delivery would never be acknowledged.
            log.warning("call.failed", error="CancelledError")
            return invocation._replace(failure=RuntimeError("what the call waited for was cancelled"))
        except Exception as error:  # noqa: BLE001 - any failure of a call is retried
            log.warning("call.failed", error=type(error).__name__)
            return invocation._replace(failure=error)
        passing(Place.AFTER_CALL)
        return invocation._replace(answer=answer)

    async def _with_resources(self, invocation: Invocation, view: ReadView) -> Any:
        """Make the call and return its answer.

        A shortage of the worker's own resources is waited for; it is no try.
        """
        assert invocation.handler.call is not None  # noqa: S101 - others skip this stage
        waited = False
        while True:
            try:
                with self._context.telemetry.call(invocation.event.TYPE):
                    async with asyncio.timeout(self._context.settings.call_timeout):
                        answer = await invocation.handler.call(view.heard, view, self._context.externals)
            except Exception as error:
                short = self._own_shortage(error)
                if short is None:
                    raise
            else:
                if waited:
                    self._context.end_wait(CALLS)
                return answer
            waited = True
            await self._context.wait_for_resources(CALLS, short)

    def _own_shortage(self, error: Exception) -> Exception | None:
        """The shortage of the worker's own resources that `error` comes from, or None.

        The resources are checked whatever the error is: a resolver that cannot open its files says that the name
        does not exist.
        """
        if attribute(error, calling=True).party is Party.WORKER:
            return error
        try:
            self._context.check_resources()
        except ResourceShortage as short:
            return short
        return None
