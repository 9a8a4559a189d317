"""A copy of the repository to run commands in, and a virtual host with all queues and no worker."""

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
from choregraphie.broker import apply_topology, connected
from services.application import APP
from tests.support.foreign_client import ForeignClient

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.brokers import Broker

ROOT = Path(__file__).parents[2]
COMMAND = ROOT / "scripts" / "passer_commande.py"
CODE = ("choregraphie", "contracts", "services", "saga_monitor", "scripts")


@pytest.fixture(autouse=True)
def default_sighup() -> Iterator[None]:
    """Restore the default action of SIGHUP, which `nohup` would make these tests' programs ignore."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the code, so that the `var/` folder belongs to one test."""
    copy = tmp_path / "a checkout"
    for name in CODE:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    # It names the application.
    shutil.copy(ROOT / "pyproject.toml", copy)
    (copy / ".venv").symlink_to(sys.prefix)
    return copy


@pytest.fixture(scope="module")
def silent_url(broker: Broker) -> Iterator[str]:
    """The URL of a virtual host with every queue and no worker."""
    operator = broker.management(f"test-{uuid.uuid4().hex[:12]}")
    operator.create_vhost()
    url = broker.url(operator.vhost)
    asyncio.run(_declare(Settings(amqp_url=url)))
    yield url
    operator.delete_vhost()


async def _declare(settings: Settings) -> None:
    async with connected(settings, "declares for tests") as connection:
        await apply_topology(connection, APP.topology(settings), declare=True)


@pytest.fixture
def client(silent_url: str) -> Iterator[ForeignClient]:
    """A foreign client on that virtual host, with empty inboxes."""
    with ForeignClient(silent_url) as foreign_client:
        for queue in ("stock.inbox", "commande.inbox"):
            while foreign_client.get(queue):
                pass
        yield foreign_client


def environ(**settings: str) -> Mapping[str, str]:
    """This process's environment with these settings alone, and without a terminal's size."""
    others = ("SAGA_", "COLUMNS", "LINES")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(others)}
    return {**kept, **settings}


def run_passer_commande(
    url: str, *arguments: str, stdin: str | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run passer_commande.py to its end; `stdin` is its standard input."""
    command = [sys.executable, str(COMMAND), *arguments]
    env = environ(SAGA_AMQP_URL=url)
    return subprocess.run(
        command, env=env, cwd=cwd, input=stdin, capture_output=True, text=True, timeout=120, check=False
    )
