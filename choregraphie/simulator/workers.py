"""The workers of a run: the real pipeline under the real supervisor. They crash and are started again."""

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
from choregraphie.service.transaction import ReadView
from choregraphie.simulator.databases import Databases
from choregraphie.simulator.network import Network
from choregraphie.simulator.randomness import Fault
from choregraphie.simulator.session import SimulatedSession
from choregraphie.simulator.shared_reading import Envelopes, SharedReading
from choregraphie.storage.invocation import Invocation, Result
from choregraphie.storage.store import Store, StoreLimits

_CURRENT: contextvars.ContextVar["Worker | None"] = contextvars.ContextVar("simulated worker", default=None)

# A service manager restarts a dead process after a while, in steps of the network's grid.
_RESTART_HOPS = (2, 6, 20)
# By then the pipeline must have drained and ended its session.
LEAVE_SECONDS = 30.0


class WorkerCrashed(BaseException):
    """The worker is dead. Not an Exception, so that no handler of the worker continues after it."""


def reach_failpoint(place: Place) -> None:
    """For `failpoints.watched`: the worker that reaches `place` may crash there."""
    worker = _CURRENT.get()
    if worker is not None:
        worker.reach_failpoint(place)


class Worker:
    """A process that is started again whenever it ends. `failures`: the ends that should not have happened."""

    def __init__(self, name: str, context: WorkerContext, network: Network, store: "_WatchedStore") -> None:
        self.name = name
        self.failures: list[str] = []
        self._context = context
        self._network = network
        self._store = store
        self._ended = False
        self._passed: Counter[str] = Counter()
        self._harmless: set[str] = set()
        self._crashed = True
        self._starts = 0
        self._connection: SimulatedSession | None = None
        self._stopping = asyncio.Event()
        self._process: asyncio.Task[None] | None = None

    @property
    def is_alive(self) -> bool:
        return not self._crashed

    async def run(self) -> None:
        """Run the process, again and again, until `end` is called."""
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
            # Before Python 3.13, a task group whose parent is cancelled while a child fails shows only the
            # failure.
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
        """Crash on a poison message, unless an operator has redriven it: the program then counts as mended."""
        if not self._network.randomness.may_occur(Fault.POISON):
            return
        for invocation in group:
            event_id = invocation.identity.id
            if event_id in self._harmless or invocation.delivery.exchange == requeue(self._context.service):
                continue
            if not self._network.randomness.occurs(Fault.POISON, self._context.service, event_id):
                self._harmless.add(event_id)
            else:
                self.crash(f"is killed by {invocation.event.TYPE} of {invocation.instance.key}")
                raise WorkerCrashed(self.name)

    def crash(self, how: str) -> None:
        """Crash at once: nothing that this process still runs has any effect."""
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
        """As on SIGTERM."""
        if not self._crashed and not self._stopping.is_set():
            self._network.trace.note(self.name, "is asked to stop")
            self._stopping.set()

    def end(self) -> None:
        """As on SIGTERM; the process is not started again."""
        self._ended = True
        self.stop()


class _WatchedStore(Store):
    """The real store; some messages crash its worker."""

    worker: Worker | None = None

    def commit_and_begin(
        self, group: Sequence[Invocation], calling: Sequence[Invocation], published: Iterable[str] = ()
    ) -> tuple[list[Result], list[ReadView | None]]:
        if self.worker is not None:
            self.worker.check_poison(group)
        return super().commit_and_begin(group, calling, published)


def create_worker(
    name: str,
    service: Service,
    databases: Databases,
    settings: Settings,
    network: Network,
    externals: Any,
    envelopes: Envelopes,
) -> Worker:
    """A worker, which shares its service's database with the service's other workers, and `envelopes` with all."""
    loop = network.loop
    store = _WatchedStore(service, databases.by_service[service.name], StoreLimits.of(settings), loop.instant)
    no_thread: Any = None  # the loop runs in place what it is given for a thread
    rng, decoder = network.randomness.rng(name), SharedReading(service, envelopes)
    context = WorkerContext(store, settings, no_thread, externals, loop.instant, rng, decoder=decoder)
    return Worker(name, context, network, store)


def _leaves(error: BaseException) -> Iterable[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error
