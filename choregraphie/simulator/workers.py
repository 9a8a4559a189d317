"""The workers of a run: the real pipeline under the real supervision, which die and come back."""

import asyncio
import contextlib
import contextvars
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from choregraphie import Service, Settings
from choregraphie.failpoints import Place
from choregraphie.pipeline.context import WorkerContext
from choregraphie.pipeline.supervisor import supervise
from choregraphie.saga.topology import inbox, requeue
from choregraphie.simulator.databases import Databases
from choregraphie.simulator.network import Network
from choregraphie.simulator.randomness import Fault
from choregraphie.simulator.session import SimulatedSession
from choregraphie.storage.invocation import Invocation, Result
from choregraphie.storage.store import Store, StoreLimits

_CURRENT: contextvars.ContextVar["Worker | None"] = contextvars.ContextVar("simulated worker", default=None)

# A service manager starts a dead process again after a while, in steps of the network's grid.
_RESTART_HOPS = (2, 6, 20)
# The pipeline itself must be out by now: `drain` and the session's end.
LEAVE_SECONDS = 30.0


class WorkerCrashed(BaseException):
    """This worker is dead. Not an Exception: nothing in it may live on by handling it."""


def reach_failpoint(place: Place) -> None:
    """For `failpoints.watched`: the worker whose code comes by a place may die there."""
    worker = _CURRENT.get()
    if worker is not None:
        worker.reach_failpoint(place)


class Worker:
    """A process that is started again whenever it ends. `fallen` says what ended it that should not have."""

    def __init__(self, name: str, context: WorkerContext, network: Network, store: "_WatchedStore") -> None:
        self.name = name
        self.failures: list[str] = []
        self._context = context
        self._network = network
        self._store = store
        self._ended = False
        self._passed: Counter[str] = Counter()
        self._crashed = True
        self._starts = 0
        self._connection: SimulatedSession | None = None
        self._stopping = asyncio.Event()
        self._process: asyncio.Task[None] | None = None

    @property
    def is_alive(self) -> bool:
        return not self._crashed

    async def run(self) -> None:
        """Serve, die, come back, until told that it is over."""
        while not self._ended:
            self._crashed, self._stopping = False, asyncio.Event()
            self._starts += 1
            self._process = asyncio.create_task(self._serve())
            await asyncio.wait({self._process})
            crashed, self._crashed = self._crashed, True
            self._record_end(self._process, crashed)
            if not self._ended:
                hops = self._network.randomness.choice(_RESTART_HOPS, "restart", self.name, self._starts)
                await self._network.pause(hops)

    async def _serve(self) -> None:
        _CURRENT.set(self)
        self._store.worker = self
        await supervise(self._context, self._stopping, self._session)

    def _record_end(self, process: "asyncio.Task[None]", crashed: bool) -> None:
        error = None if process.cancelled() else process.exception()
        if error is not None and not any(isinstance(leaf, WorkerCrashed) for leaf in _leaves(error)):
            self.failures.append(f"{self.name}: {type(error).__name__}: {error}")
        elif not crashed and (process.cancelled() or not self._stopping.is_set()):
            self.failures.append(f"{self.name} ended, and nobody had asked it to")

    @contextlib.asynccontextmanager
    async def _session(self, context: WorkerContext) -> AsyncIterator[SimulatedSession]:
        if self._crashed:
            # A task group whose parent is cancelled while a child fails shows only the failure (Python < 3.13).
            raise WorkerCrashed(self.name)
        self._connection = self._network.open(self.name, inbox(context.service), context.settings.prefetch)
        try:
            yield self._connection
        finally:
            self._connection.close()

    def reach_failpoint(self, place: Place) -> None:
        if self._crashed:
            raise WorkerCrashed(self.name)
        self._passed[place] += 1
        if self._network.randomness.occurs(Fault.CRASH, place, self.name, self._passed[place]):
            self.crash(f"dies {place.value.replace('_', ' ')}")
            raise WorkerCrashed(self.name)

    def check_poison(self, group: Sequence[Invocation]) -> None:
        """Some messages kill whoever works on them, until somebody has mended the program and sent them back."""
        for invocation in group:
            name = (self._context.service, invocation.identity.id)
            came_back = invocation.delivery.exchange == requeue(self._context.service)
            if not came_back and self._network.randomness.occurs(Fault.POISON, *name):
                self.crash(f"is killed by {invocation.event.TYPE} of {invocation.order}")
                raise WorkerCrashed(self.name)

    def crash(self, how: str) -> None:
        """At once: nothing that this process still runs has any effect from here on."""
        if self._crashed:
            return
        self._crashed = True
        self._network.trace.note(self.name, how)
        if self._connection is not None:
            self._connection.disconnect("its process is dead")
        if self._process is not None:
            self._process.cancel()

    def disconnect(self, why: str) -> None:
        if self._connection is not None:
            self._connection.disconnect(why)

    def stop(self) -> None:
        """SIGTERM."""
        if not self._crashed and not self._stopping.is_set():
            self._network.trace.note(self.name, "is asked to stop")
            self._stopping.set()

    def end(self) -> None:
        """SIGTERM, and not started again."""
        self._ended = True
        self.stop()


class _WatchedStore(Store):
    """The real books, whose worker may be killed by what is written in them."""

    worker: Worker | None = None

    def commit(self, group: Sequence[Invocation], published: Iterable[str] = ()) -> list[Result]:
        if self.worker is not None:
            self.worker.check_poison(group)
        return super().commit(group, published)


def create_worker(
    name: str, service: Service, databases: Databases, settings: Settings, network: Network, externals: Any
) -> Worker:
    """A worker that shares its service's database with the service's other workers."""
    loop = network.loop
    store = _WatchedStore(service, databases.by_service[service.name], StoreLimits.of(settings), loop.instant)
    no_thread: Any = None  # the loop runs what it is given in place of a thread
    context = WorkerContext(store, settings, no_thread, externals, loop.instant, network.randomness.rng(name))
    return Worker(name, context, network, store)


def _leaves(error: BaseException) -> Iterable[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error
