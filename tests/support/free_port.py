"""A port for a program that a test starts."""

from __future__ import annotations

import random

from scripts.probes import port_is_free

# Above the ports that the system gives to clients: one of those may be taken again before the program listens.
PORTS = range(61_000, 65_000)


def free_port() -> int:
    """A port of loopback where nobody listens."""
    return next(port for port in random.SystemRandom().sample(PORTS, len(PORTS)) if port_is_free(port))
