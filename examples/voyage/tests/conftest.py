"""What several tests of the voyage need: a request with the plainest data, and what the monitor says of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from voyage.events import VoyageDemande

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from choregraphie import Settings


@pytest.fixture
def demande() -> Callable[..., VoyageDemande]:
    """Return `demande(key, **changes)`: two travellers who fly to Lisbon for three nights, with a car."""

    def request(voyage_id: str = "VOY-1", **changes: Any) -> VoyageDemande:
        plain: dict[str, Any] = {
            "voyage_id": voyage_id,
            "client_id": "CLIENT-1",
            "vol_id": "AF-LISBONNE",
            "hotel_id": "RIVAGE",
            "voiture_id": "CITADINE",
            "voyageurs": 2,
            "nuits": 3,
        }
        return VoyageDemande.model_validate(plain | changes)

    return request


@pytest.fixture
def monitored(tmp_path: Path) -> Callable[[Settings, str], tuple[str, list[str]]]:
    """Return `monitored(settings, key)`: the state of a voyage and the events still awaited, as the monitor says.

    The monitor only reads the history of the broker.
    """

    def ask(settings: Settings, key: str) -> tuple[str, list[str]]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
        environment |= {"SAGA_AMQP_URL": settings.amqp_url, "SAGA_APP": "voyage.application:APP"}
        environment |= {"SAGA_MONITOR_DATABASE": str(tmp_path / "monitor.sqlite3")}
        environment |= {"SAGA_COORDINATION": settings.coordination}
        command = [sys.executable, "-m", "saga_monitor", "show", key, "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        return found["state"], found["remaining"]

    return ask
