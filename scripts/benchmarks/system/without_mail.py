"""`python -m services` with a carrier that sends nothing, so that mail is on neither side of the comparison.

It runs by its path with another tree's root on PYTHONPATH too, so it imports nothing of the scripts.
"""

import contextlib
import dataclasses
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

from choregraphie.cli.main import main
from services.application import APP


class NoCarrier:
    """Takes a message and drops it."""

    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        return f"{commande_id}@clients.invalid"


@contextlib.asynccontextmanager
async def open_no_carrier(settings: Any) -> AsyncIterator[NoCarrier]:
    yield NoCarrier()


def without_mail(service: Any) -> Any:
    """The same service, with no carrier where it had one."""
    if service.name != "notification":
        return service
    return dataclasses.replace(service, externals=open_no_carrier, check=None)


def application() -> Any:
    """The application of the kind that SAGA_COORDINATION chooses; an older tree has only one."""
    if os.environ.get("SAGA_COORDINATION") != "orchestration":
        return APP
    from services.orchestration import ORCHESTRATED

    return ORCHESTRATED


if __name__ == "__main__":
    chosen = application()
    services = tuple(without_mail(service) for service in chosen.services)
    sys.exit(main(dataclasses.replace(chosen, services=services)))
