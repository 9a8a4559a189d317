"""An environment of worker processes on a virtual host and databases of its own, which are deleted after it."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, Any

from scripts.nemesis.coordination import CHOREOGRAPHED, SAGAS
from scripts.nemesis.environment import Environment
from scripts.nemesis.setup import database_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.nemesis.private_postgres import PrivatePostgres
    from tests.support.brokers import Broker


@contextlib.contextmanager
def live_environment(
    broker: Broker, folder: Path, postgres: PrivatePostgres | None, coordination: str = CHOREOGRAPHED, **more: Any
) -> Iterator[Environment]:
    """The environment with its workers started; on SQLite files without `postgres`."""
    name = f"chaos-{uuid.uuid4().hex[:8]}"
    database = database_for(postgres, folder, SAGAS[coordination].services, prefix=f"{name}-")
    management = broker.management(name)
    management.create_vhost()
    try:
        environment = Environment(
            folder / "arena", broker.url(management.vhost), management, database, coordination, **more
        )
        try:
            environment.start()
            yield environment
        finally:
            environment.close()
    finally:
        management.delete_vhost()
