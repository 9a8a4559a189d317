"""`python -m saga_monitor.alerting.apprise_process`: sends one notice by Apprise, in a process that can be killed.

Apprise reads a server's answer to its end, in a thread that cannot be stopped. Standard input is JSON: `urls`,
`title`, `body` and `notify_type`. The exit code is 0 when all addresses took the notice, else 1.
"""

import contextlib
import json
import resource
import sys

import apprise

MOST_MEMORY_BYTES = 2 * 1024**3


def main() -> int:
    """Send the notice of standard input; returns the exit code."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    message = json.load(sys.stdin)
    addresses = apprise.Apprise()
    for url in message.pop("urls"):
        addresses.add(url)
    with contextlib.suppress(MemoryError):
        return 0 if addresses.notify(**message) else 1
    return 1


if __name__ == "__main__":
    sys.exit(main())
