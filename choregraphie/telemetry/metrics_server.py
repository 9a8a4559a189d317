"""Serves `/metrics`, `/livez` and `/readyz` of a worker, on a thread of its own.

A process has one such port, however many services it runs.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from http import HTTPStatus

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from choregraphie.errors import BadSetting
from choregraphie.process.connections import listen
from choregraphie.settings import Settings
from choregraphie.telemetry.http_port import Answer, serving
from choregraphie.telemetry.metrics import SILENT, Instruments, ServiceMetrics, Telemetry

# An event loop that does not run a callback within this time is blocked.
LOOP_SECONDS = 5.0

TelemetryOf = Callable[[str], Telemetry]


@contextlib.contextmanager
def serving_metrics(settings: Settings) -> Iterator[TelemetryOf]:
    """Serve the metrics while the block lasts. Yields what gives each service its hooks. Needs a running loop.

    Raises BadSetting when the port cannot be opened.
    """
    if not settings.metrics_port:
        yield lambda _: SILENT
        return
    try:
        listener = listen(settings.metrics_host, settings.metrics_port)
    except (OSError, UnicodeError) as error:
        place = f"{settings.metrics_host}:{settings.metrics_port}"
        raise BadSetting(f"SAGA_METRICS_PORT: {place}: {getattr(error, 'strerror', None) or error}") from None
    server = MetricsServer(asyncio.get_running_loop())
    with serving(listener, server.answer):
        yield server.telemetry


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
            waiting = sorted(name for name, service in list(self._services.items()) if not service.ready)
            status = 503 if waiting or not self._services else 200
            return _plain(status, f"not receiving: {', '.join(waiting)}" if waiting else "")
        return _plain(404, "/metrics, /livez, /readyz")

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
