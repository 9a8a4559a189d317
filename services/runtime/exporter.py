"""The worker's port: `/metrics` for Prometheus, `/livez` and `/readyz` for whoever restarts it or routes to it.

Served on threads of its own. One port for the process, however many services it runs.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app, start_http_server

from services.runtime.errors import BadSetting
from services.runtime.settings import Settings
from services.runtime.telemetry import SILENT, Metered, Meters, Telemetry

# A loop that does not come round in this time is stuck in something that it should not do.
LOOP_SECONDS = 5.0

TelemetryOf = Callable[[str], Telemetry]


@contextlib.contextmanager
def exporting(settings: Settings) -> Iterator[TelemetryOf]:
    """Serve the metrics while work goes on, and give each service its hooks; from within a running loop.

    Raises BadSetting when the port cannot be opened.
    """
    if not settings.metrics_port:
        yield lambda _: SILENT
        return
    exporter = Exporter(asyncio.get_running_loop())
    try:
        server, thread = start_http_server(settings.metrics_port, settings.metrics_host, exporter.registry)
    except (OSError, UnicodeError) as error:
        place = f"{settings.metrics_host}:{settings.metrics_port}"
        raise BadSetting(f"SAGA_METRICS_PORT: {place}: {getattr(error, 'strerror', None) or error}") from None
    server.set_app(exporter)
    try:
        yield exporter.telemetry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Exporter:
    """A WSGI application over one registry."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._loop = loop
        self._meters = Meters(self.registry)
        self._metrics: Any = make_wsgi_app(self.registry)
        self._services: dict[str, Metered] = {}

    def telemetry(self, service: str) -> Telemetry:
        return self._services.setdefault(service, Metered(service, self._meters))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start_response)
            return answer
        if path == "/livez":
            return _say(start_response, "200 OK" if self._lives() else "503 Service Unavailable", "")
        if path == "/readyz":
            waiting = sorted(name for name, service in self._services.items() if not service.ready)
            status = "503 Service Unavailable" if waiting or not self._services else "200 OK"
            return _say(start_response, status, f"not receiving: {', '.join(waiting)}" if waiting else "")
        return _say(start_response, "404 Not Found", "/metrics, /livez, /readyz")

    def _lives(self) -> bool:
        async def come_round() -> None:
            """Only the coming counts."""

        going = come_round()
        try:
            asyncio.run_coroutine_threadsafe(going, self._loop).result(LOOP_SECONDS)
        except RuntimeError:  # the loop is closed
            going.close()
            return False
        except TimeoutError:
            return False
        return True


def _say(start_response: Any, status: str, text: str) -> Iterable[bytes]:
    body = f"{text or status[4:].lower()}\n".encode()
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
