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
from choregraphie.simulator.databases import Books
from choregraphie.simulator.network import Network
from choregraphie.simulator.randomness import Fault
from choregraphie.simulator.session import SimDoor
from choregraphie.storage.invocation import Invocation, Result
from choregraphie.storage.store import Store, StoreLimits

_WHO: contextvars.ContextVar["Worker | None"] = contextvars.ContextVar("simulated worker", default=None)

# A service manager starts a dead process again after a while, in steps of the network's grid.
_RESTART_HOPS = (2, 6, 20)
# The pipeline itself must be out by now: `drain` and the session's end.
LEAVE_SECONDS = 30.0


class Died(BaseException):
    """This worker is dead. Not an Exception: nothing in it may live on by handling it."""


def pass_by(place: Place) -> None:
    """For `failpoints.watched`: the worker whose code comes by a place may die there."""
    worker = _WHO.get()
    if worker is not None:
        worker.pass_by(place)


class Worker:
    """A process that is started again whenever it ends. `fallen` says what ended it that should not have."""

    def __init__(self, name: str, context: WorkerContext, network: Network, store: "_Watched") -> None:
        self.name = name
        self.fallen: list[str] = []
        self._context = context
        self._network = network
        self._store = store
        self._over = False
        self._passed: Counter[str] = Counter()
        self._dead = True
        self._lives = 0
        self._door: SimDoor | None = None
        self._stopping = asyncio.Event()
        self._process: asyncio.Task[None] | None = None

    @property
    def is_alive(self) -> bool:
        return not self._dead

    async def live(self) -> None:
        """Serve, die, come back, until told that it is over."""
        while not self._over:
            self._dead, self._stopping = False, asyncio.Event()
            self._lives += 1
            self._process = asyncio.create_task(self._serve())
            await asyncio.wait({self._process})
            killed, self._dead = self._dead, True
            self._judge(self._process, killed)
            if not self._over:
                hops = self._network.chance.choice(_RESTART_HOPS, "restart", self.name, self._lives)
                await self._network.pause(hops)

    async def _serve(self) -> None:
        _WHO.set(self)
        self._store.worker = self
        await supervise(self._context, self._stopping, self._session)

    def _judge(self, process: "asyncio.Task[None]", killed: bool) -> None:
        error = None if process.cancelled() else process.exception()
        if error is not None and not any(isinstance(leaf, Died) for leaf in _leaves(error)):
            self.fallen.append(f"{self.name}: {type(error).__name__}: {error}")
        elif not killed and (process.cancelled() or not self._stopping.is_set()):
            self.fallen.append(f"{self.name} ended, and nobody had asked it to")

    @contextlib.asynccontextmanager
    async def _session(self, context: WorkerContext) -> AsyncIterator[SimDoor]:
        if self._dead:
            # A task group whose parent is cancelled while a child fails shows only the failure (Python < 3.13).
            raise Died(self.name)
        self._door = self._network.open(self.name, inbox(context.service), context.settings.prefetch)
        try:
            yield self._door
        finally:
            self._door.close()

    def pass_by(self, place: Place) -> None:
        if self._dead:
            raise Died(self.name)
        self._passed[place] += 1
        if self._network.chance.strikes(Fault.CRASH, place, self.name, self._passed[place]):
            self.die(f"dies {place.value.replace('_', ' ')}")
            raise Died(self.name)

    def takes(self, group: Sequence[Invocation]) -> None:
        """Some messages kill whoever works on them, until somebody has mended the program and sent them back."""
        for invocation in group:
            name = (self._context.service, invocation.identity.id)
            came_back = invocation.delivery.exchange == requeue(self._context.service)
            if not came_back and self._network.chance.strikes(Fault.POISON, *name):
                self.die(f"is killed by {invocation.event.TYPE} of {invocation.order}")
                raise Died(self.name)

    def die(self, how: str) -> None:
        """At once: nothing that this process still runs has any effect from here on."""
        if self._dead:
            return
        self._dead = True
        self._network.diary.note(self.name, how)
        if self._door is not None:
            self._door.cut("its process is dead")
        if self._process is not None:
            self._process.cancel()

    def cut(self, why: str) -> None:
        if self._door is not None:
            self._door.cut(why)

    def stop(self) -> None:
        """SIGTERM."""
        if not self._dead and not self._stopping.is_set():
            self._network.diary.note(self.name, "is asked to stop")
            self._stopping.set()

    def end(self) -> None:
        """SIGTERM, and not started again."""
        self._over = True
        self.stop()


class _Watched(Store):
    """The real books, whose worker may be killed by what is written in them."""

    worker: Worker | None = None

    def commit(self, group: Sequence[Invocation], said: Iterable[str] = ()) -> list[Result]:
        if self.worker is not None:
            self.worker.takes(group)
        return super().commit(group, said)


def employ(
    name: str, service: Service, books: Books, settings: Settings, network: Network, externals: Any
) -> Worker:
    """A worker that shares its service's database with the service's other workers."""
    loop = network.loop
    store = _Watched(service, books.databases[service.name], StoreLimits.of(settings), loop.instant)
    nobody: Any = None  # the loop runs what it is given in place of a thread
    context = WorkerContext(store, settings, nobody, externals, loop.instant, network.chance.rng(name))
    return Worker(name, context, network, store)


def _leaves(error: BaseException) -> Iterable[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error
