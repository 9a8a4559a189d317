"""A copy of the repository to run commands in, and a virtual host with everything declared and nobody at work."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from choregraphie import Settings
from choregraphie.application import declared_topology
from choregraphie.broker import apply_topology, connected
from contracts.choreography import CHOREOGRAPHY
from tests.support.foreign_client import ForeignClient

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.brokers import Broker

ROOT = Path(__file__).parents[2]
COMMAND = ROOT / "scripts" / "passer_commande.py"
CODE = ("choregraphie", "contracts", "services", "saga_monitor", "scripts")


@pytest.fixture(autouse=True)
def hang_up_is_heard() -> Iterator[None]:
    """What is begun by `nohup` ignores a hang-up, and so does all that it begins: these tests are about those who
    do not."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The code in a folder of its own, so that what a command leaves in `var/` is this test's alone."""
    copy = tmp_path / "a checkout"
    for name in CODE:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / ".venv").symlink_to(sys.prefix)
    return copy


@pytest.fixture(scope="module")
def silent_url(broker: Broker) -> Iterator[str]:
    """A virtual host with every queue, and no worker on any of them."""
    operator = broker.management(f"test-{uuid.uuid4().hex[:12]}")
    operator.create_vhost()
    url = broker.url(operator.vhost)
    asyncio.run(_declare(Settings(amqp_url=url)))
    yield url
    operator.delete_vhost()


async def _declare(settings: Settings) -> None:
    async with connected(settings, "declares for tests") as connection:
        await apply_topology(connection, declared_topology(CHOREOGRAPHY, settings), declare=True)


@pytest.fixture
def client(silent_url: str) -> Iterator[ForeignClient]:
    """A foreign client on that virtual host; the inboxes are empty when it comes."""
    with ForeignClient(silent_url) as foreign_client:
        for queue in ("stock.inbox", "commande.inbox"):
            while foreign_client.get(queue):
                pass
        yield foreign_client


def environ(**settings: str) -> Mapping[str, str]:
    """This process's environment with these settings and no others, and with no terminal's size."""
    others = ("SAGA_", "COLUMNS", "LINES")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(others)}
    return {**kept, **settings}


def say(
    url: str, *arguments: str, said: str | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run passer_commande.py to its end; `said` is its standard input."""
    command = [sys.executable, str(COMMAND), *arguments]
    where = environ(SAGA_AMQP_URL=url)
    return subprocess.run(
        command, env=where, cwd=cwd, input=said, capture_output=True, text=True, timeout=60, check=False
    )
