"""The files of `deploy/` and the secrets that they need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.container_secrets import write_secrets
from services.application import APP

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `./scripts/deployment_secrets` writes."""
    folder = tmp_path_factory.mktemp("deployment") / "secrets"
    write_secrets(APP, folder, "rabbitmq", "postgres")
    return folder


@pytest.fixture(scope="session")
def read_environment() -> Callable[[dict[str, str], Path], None]:
    """Read the settings of a container's environment, with its secrets in that folder. Raises BadSetting."""

    def read(environment: dict[str, str], folder: Path) -> None:
        ours = {key: value for key, value in environment.items() if key.startswith("SAGA_")}
        at_home = {key: value.replace("/run/secrets/saga", str(folder)) for key, value in ours.items()}
        APP.read_settings(at_home)

    return read
