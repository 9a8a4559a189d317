"""Answers `/metrics`, `/livez` and `/readyz` of a worker."""

import asyncio
import contextlib
from http import HTTPStatus

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from choregraphie.telemetry.hooks import Telemetry
from choregraphie.telemetry.http_port import Answer
from choregraphie.telemetry.metrics import Instruments, ServiceMetrics

# An event loop that does not run a callback within this time is blocked.
LOOP_SECONDS = 5.0


class MetricsServer:
    """Answers the requests. `loop` is the worker's event loop, which runs on another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._loop = loop
        self._turn: asyncio.Event | None = None
        self._instruments = Instruments(self.registry)
        self._services: dict[str, ServiceMetrics] = {}

    def telemetry(self, service: str) -> Telemetry:
        return self._services.setdefault(service, ServiceMetrics(service, self._instruments))

    async def answer(self, path: str, accept: str) -> Answer:
        if path == "/metrics":
            encode, content_type = choose_encoder(accept)
            return Answer(200, encode(self.registry), content_type)
        if path == "/livez":
            return _plain(200) if await self._is_alive() else _plain(503)
        if path == "/readyz":
            return self._ready()
        return _plain(404, "/metrics, /livez, /readyz")

    def _ready(self) -> Answer:
        services = sorted(self._services.items())
        if waiting := [name for name, service in services if not service.ready]:
            return _plain(503, f"not receiving: {', '.join(waiting)}")
        # Still ready: a worker in its place would hold its inbox too.
        held = [f"{name} for {', '.join(sorted(s.awaits))}" for name, s in services if s.awaits]
        return _plain(200 if services else 503, f"held: {'; '.join(held)}" if held else "")

    async def _is_alive(self) -> bool:
        # While the loop is blocked, all requests wait for the same callback; otherwise callbacks would pile up.
        if self._turn is None or self._turn.is_set():
            turn = asyncio.Event()
            try:
                self._loop.call_soon_threadsafe(_answer_turn, asyncio.get_running_loop(), turn)
            except RuntimeError:  # the loop is closed
                return False
            self._turn = turn
        try:
            async with asyncio.timeout(LOOP_SECONDS):
                await self._turn.wait()
        except TimeoutError:
            return False
        return True


def _answer_turn(loop: asyncio.AbstractEventLoop, turn: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the port is closed already
        loop.call_soon_threadsafe(turn.set)


def _plain(status: int, text: str = "") -> Answer:
    return Answer(status, f"{text or HTTPStatus(status).phrase.lower()}\n".encode())
