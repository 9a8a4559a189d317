"""`./scripts/compose_smoke` says in one line what is missing. That it follows an order, `.ci/compose` shows."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.deploy.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def smoke(*arguments: str, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "compose_smoke", *arguments],
        env={"PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_without_docker_it_says_what_to_install(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\nexit 1\n")
    docker.chmod(0o755)
    done = smoke(path=f"{tmp_path}:/usr/bin:/bin")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "compose_smoke: Docker Compose v2 does not answer; install it and start Docker.\n"


def test_a_wrong_command_line_is_one_line() -> None:
    done = smoke("now")
    assert (done.returncode, done.stderr) == (2, "usage: scripts/compose_smoke\n")


def test_help_explains() -> None:
    done = smoke("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Starts compose.yaml, places one order, and follows it to its end")
