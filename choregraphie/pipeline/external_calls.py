"""The call stage: makes the external calls of reactions, concurrently, before any transaction."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from choregraphie.errors import ResourceShortage
from choregraphie.failpoints import Place, passing
from choregraphie.pipeline.context import CALLS, WorkerContext
from choregraphie.pipeline.executor import begin_calls
from choregraphie.pipeline.waiting import take_batch
from choregraphie.process.attribution import Party, attribute
from choregraphie.service.transaction import ReadView
from choregraphie.storage.invocation import Invocation

log = structlog.get_logger()


class ExternalCalls:
    """Hands each invocation on with the answer to its call, or with the failure."""

    def __init__(self, context: WorkerContext, hand_on: Callable[[Invocation], None]) -> None:
        self._context = context
        self._hand_on = hand_on
        self._waiting: asyncio.Queue[Invocation] = asyncio.Queue()
        self._slots = asyncio.Semaphore(context.settings.calls)
        self.under_way: set[asyncio.Task[None]] = set()

    def put(self, invocation: Invocation) -> None:
        self._waiting.put_nowait(invocation)

    async def run(self, tasks: asyncio.TaskGroup) -> None:
        """Make the calls, each as a task of `tasks`."""
        while True:
            batch = await take_batch(self._waiting)
            begin = partial(begin_calls, self._context.store, batch)
            with self._context.left_over_if_cancelled(begin):
                begun = await self._context.retry_until_available(begin)
            for invocation, view in begun:
                if view is None:
                    self._hand_on(invocation)
                else:
                    calling = tasks.create_task(self._call(invocation, view))
                    self.under_way.add(calling)
                    calling.add_done_callback(self.under_way.discard)

    async def _call(self, invocation: Invocation, view: ReadView) -> None:
        structlog.contextvars.bind_contextvars(**invocation.bound())  # the task is this delivery's alone
        async with self._slots:
            answered = await self._ask(invocation, view)
            if answered.failure is not None:
                # The outcome is unknown; an immediate second call with the same idempotency key is safe.
                answered = await self._ask(invocation, view)
        self._hand_on(answered)

    async def _ask(self, invocation: Invocation, view: ReadView) -> Invocation:
        passing(Place.BEFORE_CALL)
        try:
            answer = await self._with_resources(invocation, view)
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
                        answer = await invocation.handler.call(invocation.event, view, self._context.externals)
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
