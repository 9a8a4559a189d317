"""The project that `choregraphie new` writes, beside nothing but the wheel and what the wheel asks for."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.installation import Installation, build_wheel
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Each test runs several programs, and the first one installs the wheel.


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    wheel = build_wheel(tmp_path_factory.mktemp("wheel"))
    # Those that the project's own `dev` asks for.
    return Installation(tmp_path_factory.mktemp("installed"), wheel, "monitor", "testing", "web")


class Project:
    """A new project, whose commands a person types in its folder."""

    def __init__(self, folder: Path, installation: Installation, amqp_url: str) -> None:
        self.folder = folder
        self._installation = installation
        self._settings = {"SAGA_AMQP_URL": amqp_url, "SAGA_TEST_AMQP_URL": amqp_url}

    def complete(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return self._installation.run(self.folder, *command, **(self._settings | settings))

    def run(self, *command: str, code: int = 0) -> str:
        """Run a command to its end, and return what it prints. Another exit code than `code` fails the test."""
        done = self.complete(*command)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def inspect(self, service: str) -> Any:
        return json.loads(self.run("choregraphie", "inspect", service, "--json"))

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command that goes on."""
        return self._installation.start(self.folder, *command, **self._settings)


@pytest.fixture
def project(installation: Installation, tmp_path: Path, amqp_url: str) -> Project:
    done = installation.run(tmp_path, "choregraphie", "new", "boutique")
    assert done.returncode == 0, done.stderr
    return Project(tmp_path / "boutique", installation, amqp_url)


@pytest.fixture
def workers(project: Project) -> Iterator[None]:
    """The workers of the project, from `choregraphie run all` to its end by SIGTERM."""
    running = project.start("choregraphie", "run", "all")
    try:
        project.run("choregraphie", "ready", "all", "--wait", "90")
        yield
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
    finally:
        if running.poll() is None:
            os.kill(running.pid, signal.SIGKILL)
            running.wait()


def test_it_is_sound_and_holds_under_faults(project: Project) -> None:
    assert "The choreography holds." in project.run("choregraphie", "check")
    assert "every invariant holds" in project.run("choregraphie", "simulate", "--runs", "3", "--instances", "20")
    shown = project.run("choregraphie", "simulate", "--exhaustive", "--faults", "1")
    assert shown.count("every invariant holds at every end") == 2


def test_the_commands_that_it_names_exist(project: Project) -> None:
    named: set[str] = set()
    for name in ("README.md", "AGENTS.md", ".github/workflows/ci.yml"):
        text = (project.folder / name).read_text(encoding="utf-8")
        named |= set(re.findall(r"^ *(?:- run: |KEY=\$\()?choregraphie ([a-z]+)", text, re.MULTILINE))
    compose = yaml.safe_load((project.folder / "compose.yaml").read_text(encoding="utf-8"))
    assert compose["services"].keys() == {"rabbitmq", "place", "inscription"}
    named |= {service["command"][1] for name, service in compose["services"].items() if name != "rabbitmq"}
    assert named >= {"check", "simulate", "run", "inspect", "journal", "monitor"}
    # The monitor's help is its own.
    for verb in sorted(named - {"monitor"}):
        assert f"usage: choregraphie {verb}" in project.run("choregraphie", verb, "--help")
    workflow = yaml.safe_load((project.folder / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["test"]["env"].keys() == {"SAGA_TEST_AMQP_URL"}


def test_a_client_without_a_broker_gets_one_line(project: Project) -> None:
    done = project.complete("python", "-m", "boutique.demander", SAGA_AMQP_URL="amqp://a:b@127.0.0.1:1/")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "demander: 127.0.0.1:1: Connection refused\n"


def test_its_tests_pass_on_a_real_broker(project: Project) -> None:
    shown = project.run("python", "-m", "pytest", "-q")
    assert " passed" in shown
    assert not {"failed", "error", "skipped"} & set(shown.split())


def test_its_tests_find_an_undoing_that_forgets_a_place(project: Project) -> None:
    reactions = project.folder / "boutique" / "place" / "reactions.py"
    text = reactions.read_text(encoding="utf-8")
    assert text.count("session.libres += 1") == 1
    reactions.write_text(text.replace("session.libres += 1", "session.libres += 0"), encoding="utf-8")
    shown = project.run("python", "-m", "pytest", "-q", code=1)
    assert "FAILED tests/test_place.py::test_a_cancelled_place_is_free_again" in shown
    assert "FAILED tests/test_saga.py::test_no_enrolment_ends_half_done[1]" in shown
    assert "✗ places balance: " in shown
    assert "sequenceDiagram" in shown


@pytest.mark.usefixtures("workers")
def test_a_first_instance_runs_to_its_end(project: Project) -> None:
    key = project.run("python", "-m", "boutique.demander").strip()
    until(lambda: project.inspect("inscription")["inscriptions"]["confirmee"] == 1, "confirmed")
    assert project.inspect("place")["sessions"]["PYTHON-101"] == {"places": 1000, "libres": 999}
    assert "place" in project.run("choregraphie", "journal", key)

    project.run("python", "-m", "boutique.demander", "--annuler", key)
    until(lambda: project.inspect("place")["sessions"]["PYTHON-101"]["libres"] == 1000, "given back")
    assert project.inspect("inscription")["inscriptions"] == {
        "inconnue": 0,
        "en_attente": 0,
        "confirmee": 0,
        "annulee": 1,
    }
