"""The extras of the package: which modules each brings, and the line that names a missing one."""

from collections.abc import Iterator
from contextlib import contextmanager

from choregraphie.errors import MissingExtra

# As in pyproject.toml; a test compares them.
EXTRAS = {
    "alerts": ("apprise",),
    "monitor": ("textual",),
    "postgresql": ("psycopg",),
    "signing": ("cryptography",),
    "testing": ("pytest", "testcontainers"),
    "tracing": ("opentelemetry",),
    "web": ("starlette", "uvicorn", "jinja2"),
}


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Imports that need `extra`. Raises MissingExtra when one of its modules is not installed."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in EXTRAS[extra]:
            raise
        raise MissingExtra(f"this needs the extra {extra}: pip install 'choregraphie[{extra}]'") from None
