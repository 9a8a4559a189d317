"""`python -m saga_monitor.alerting.apprise_process`: tell one notice by Apprise, in a process that can be killed.

Apprise reads whatever a server answers to its end, on a thread that nobody can stop. Standard input is JSON:
`urls`, `title`, `body` and `notify_type`. The exit code is 0 when all of them took it, else 1.
"""

import contextlib
import json
import resource
import sys

import apprise

MOST_MEMORY_BYTES = 2 * 1024**3


def main() -> int:
    """Raises nothing that a person would read: the exit code says it all."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    told = json.load(sys.stdin)
    addresses = apprise.Apprise()
    for url in told.pop("urls"):
        addresses.add(url)
    with contextlib.suppress(MemoryError):
        return 0 if addresses.notify(**told) else 1
    return 1


if __name__ == "__main__":
    sys.exit(main())
