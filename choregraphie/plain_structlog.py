"""structlog without rich: a program that shows only plain tracebacks starts a tenth sooner."""

import sys


def import_structlog() -> None:
    """Import structlog as if rich were not installed, unless one of the two is imported already.

    structlog imports rich, pygments and attrs for tracebacks that show local variables, and with them the content
    of messages. `logs` asks for plain ones. A start of a worker takes 0.05 s less (docs/performance.md).
    """
    if "rich" in sys.modules or "structlog" in sys.modules:
        return
    hidden: dict[str, None] = {"rich": None}  # for the import system: there is no such module
    sys.modules.update(hidden)  # type: ignore[arg-type]  # the type of sys.modules has no such entries
    try:
        import structlog  # noqa: F401 - for the modules that import it later
    finally:
        del sys.modules["rich"]
