"""The demonstration's choice of a broker on a machine without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.demonstration import broker
from scripts.demonstration.broker import Broker, NoBrokerError, obtain

if TYPE_CHECKING:
    from pathlib import Path

CANNOT_PULL = 'if [ "$1" = run ]; then echo "Error: registry unreachable." >&2; exit 125; fi'
SILENT = 'if [ "$1" = info ]; then exec sleep 60; fi; echo "$1" >>"$0.asked"'


class Machine:
    """A machine without a server, with a script in place of docker. `may_install`: packages can be installed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.may_install = True
        self.steps: list[str] = []
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        monkeypatch.setattr(broker, "SERVERS", (str(folder / "servers"),))
        monkeypatch.setattr(broker, "ANSWER_SECONDS", 60)
        monkeypatch.setattr(broker, "environment_step", self._step)
        monkeypatch.setattr(broker, "_private", lambda folder: Broker("private", "", str(folder)))

    def docker(self, script: str) -> None:
        command = self.folder / "docker"
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)

    def _step(self, step: str) -> bool:
        self.steps.append(step)
        if self.may_install and step.startswith("install_packages"):
            (self.folder / "servers" / "rabbitmq_server-1").mkdir(parents=True)
        return self.may_install


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize("docker", ["exit 1", CANNOT_PULL, SILENT])
def test_a_server_is_installed_where_docker_does_not_work(
    docker: str, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.docker(docker)
    if docker == SILENT:
        monkeypatch.setattr(broker, "ANSWER_SECONDS", 0.5)
    assert obtain(tmp_path, {}).kind == "private"
    assert machine.steps == ["can_install", "install_packages rabbitmq-server"]


def test_the_error_of_docker_is_reported_where_nothing_can_be_installed(machine: Machine, tmp_path: Path) -> None:
    machine.docker(CANNOT_PULL)
    machine.may_install = False
    with pytest.raises(NoBrokerError, match=r"No container of .* can be run: Error: registry unreachable\.$"):
        obtain(tmp_path, {})


def test_without_any_broker_one_sentence_says_what_would_help(machine: Machine, tmp_path: Path) -> None:
    machine.docker("exit 1")
    machine.may_install = False
    with pytest.raises(NoBrokerError, match="set SAGA_AMQP_URL, or install rabbitmq-server or Docker"):
        obtain(tmp_path, {})


def test_an_installed_server_is_used_without_installing_anything(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "servers" / "rabbitmq_server-1").mkdir(parents=True)
    assert obtain(tmp_path, {}).kind == "private"
    assert machine.steps == []
