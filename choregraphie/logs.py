"""Structured logs: JSON lines, or readable lines on a terminal. Event names are past-tense dotted names."""

import logging
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TextIO, cast

import structlog

from choregraphie.printable import printable
from choregraphie.process.stdout_errors import TolerantStream
from choregraphie.settings import Settings

# Returns the fields of the delivery that is being handled. It is called only for a line that is written: most
# deliveries write none.
delivery_fields: ContextVar[Callable[[], dict[str, Any]] | None] = ContextVar("delivery_fields", default=None)

# At DEBUG these two log whole message bodies.
_CLIENT_LOGGERS = ("aio_pika", "aiormq")


def configure_logs(settings: Settings, stream: TextIO | None = None) -> None:
    """Configure the logging of the process, on `stream` (standard error by default)."""
    out = TolerantStream(stream or sys.stderr)
    pretty = settings.log_format == "console" or (settings.log_format == "auto" and out.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _add_delivery,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Plain tracebacks: the pretty ones show local variables, and with them the content of messages.
    readable = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    json_lines: list[Any] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    tail = [_escape_values, readable] if pretty else json_lines
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[*shared, *tail],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", out)),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tail],
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    silence_the_client()


def _add_delivery(_logger: Any, _method: str, line: Any) -> Any:
    """Add the fields of the delivery that is being handled. What the line itself says stays."""
    fields = delivery_fields.get()
    return line if fields is None else {**fields(), **line}


def _escape_values(_logger: Any, _method: str, line: Any) -> Any:
    """Escape what is unprintable: a field may hold what an unknown sender chose, such as the id of a message."""
    return {name: printable(value) if isinstance(value, str) else value for name, value in line.items()}


def silence_the_client() -> None:
    """Silence the client's own lines and tracebacks: we log a lost connection ourselves, once."""
    for name in _CLIENT_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
