"""Serves the metrics of a worker on a thread of its own, when the settings name a port for them.

A process has one such port, however many services it runs.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from choregraphie.errors import BadSetting
from choregraphie.process.connections import listen
from choregraphie.settings import Settings
from choregraphie.telemetry.hooks import SILENT, Telemetry

TelemetryOf = Callable[[str], Telemetry]


@contextlib.contextmanager
def serving_metrics(settings: Settings) -> Iterator[TelemetryOf]:
    """Serve the metrics while the block lasts. Yields what gives each service its hooks. Needs a running loop.

    Raises BadSetting when the port cannot be opened.
    """
    if not settings.metrics_port:
        yield lambda _: SILENT
        return
    # Here: a worker without the port needs neither the instruments nor HTTP.
    from choregraphie.telemetry.http_port import serving
    from choregraphie.telemetry.metrics_server import MetricsServer

    try:
        listener = listen(settings.metrics_host, settings.metrics_port)
    except (OSError, UnicodeError) as error:
        place = f"{settings.metrics_host}:{settings.metrics_port}"
        raise BadSetting(f"SAGA_METRICS_PORT: {place}: {getattr(error, 'strerror', None) or error}") from None
    server = MetricsServer(asyncio.get_running_loop())
    with serving(listener, server.answer):
        yield server.telemetry
