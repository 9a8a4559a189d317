"""`scripts/environment` installs what a fresh machine lacks, and survives interruptions."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.scripts.conftest import ROOT, environ

if TYPE_CHECKING:
    from collections.abc import Callable

# The tests must not touch the system's own files.
OURS = 'policy=$PWD/policy packages_lock=$PWD/lock; as_root() { "$@"; }'
FOREIGN = "#!/bin/sh\nexit 104\n"


class Machine:
    """A folder with `scripts/environment`, and a script in place of apt-get first on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policy = folder / "policy"
        (folder / "bin").mkdir(parents=True)
        (folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "environment", folder / "scripts")
        for name in ("requirements.txt", "requirements-dev.txt"):
            (folder / name).write_text(f"# {name}\n")
        self.apt_get(":")

    def apt_get(self, script: str) -> None:
        command = self.folder / "bin" / "apt-get"
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)

    def begin(self, steps: str) -> subprocess.Popen[str]:
        env = environ(PATH=f"{self.folder / 'bin'}:{os.environ['PATH']}", PYTHON=sys.executable)
        return subprocess.Popen(
            ["bash", "-euc", f". scripts/environment; {OURS}; {steps}"],
            cwd=self.folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, steps: str) -> subprocess.CompletedProcess[str]:
        with self.begin(steps) as running:
            out, err = running.communicate(timeout=100)
        return subprocess.CompletedProcess(running.args, running.returncode, out, err)

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "a machine")


def until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_interrupted_environment_is_made_again(machine: Machine) -> None:
    with machine.begin("ensure_environment") as running:
        until(lambda: machine.has(".venv/bin/python"))
        os.killpg(running.pid, signal.SIGINT)
        running.communicate()
    result = machine.run("ensure_environment; python -m pip --version")
    assert result.returncode == 0, result.stderr
    assert str(machine.folder / ".venv") in result.stdout
    # A third call finds nothing to do.
    assert machine.run("ensure_environment").stderr == ""


def test_an_environment_without_pip_is_made_again(machine: Machine) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", machine.folder / ".venv"], check=True)
    result = machine.run("make_venv() { echo made anew; }; install_requirements() { :; }; ensure_environment")
    assert (result.returncode, result.stdout) == (0, "made anew\n")


@pytest.mark.parametrize(
    ("has", "wanted", "enough"),
    [
        ("requirements-dev.txt", "requirements-dev.txt", True),
        ("requirements-dev.txt", "requirements.txt", True),
        ("requirements.txt", "requirements.txt", True),
        ("requirements.txt", "requirements-dev.txt", False),
    ],
)
def test_an_environment_with_all_requirements_is_enough_for_the_smaller_set(
    machine: Machine, has: str, wanted: str, *, enough: bool
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", machine.folder / ".venv"], check=True)
    machine.run(f"installed .venv {has} >.venv/.installed")
    result = machine.run(
        f"make_venv() {{ :; }}; install_requirements() {{ echo $2; }}; ensure_environment {wanted}"
    )
    assert (result.returncode, result.stdout) == (0, "" if enough else f"{wanted}\n")


def test_installing_packages_starts_no_service(machine: Machine) -> None:
    machine.apt_get('cat policy >>seen; echo "$@" >>asked')
    result = machine.run("install_packages one two")
    assert (result.returncode, result.stderr) == (0, "Installing from Debian: one two ...\n")
    asked = (machine.folder / "asked").read_text().splitlines()
    assert [line.split()[2:] for line in asked] == [
        ["update"],
        ["install", "-y", "--no-install-recommends", "one", "two"],
    ]
    assert "exit 101" in (machine.folder / "seen").read_text()
    assert not machine.policy.exists()


def test_spin_is_installed_with_the_compiler_and_the_headers_that_it_needs(machine: Machine) -> None:
    machine.apt_get('echo "$@" >>asked')
    result = machine.run("spin_is_there() { grep -q install asked; }; ensure_spin; ensure_spin")
    assert result.returncode == 0
    asked = (machine.folder / "asked").read_text().splitlines()
    assert [line.split()[-3:] for line in asked[1:]] == [["spin", "gcc", "libc6-dev"]]


def test_what_cannot_be_fetched_from_the_next_release_is_one_sentence(machine: Machine) -> None:
    machine.apt_get("exit 100")
    result = machine.run("kustomize_is_there() { false; }; ensure_kustomize")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(
        "kustomize could not be fetched from Debian: install it by hand"
    )


def test_a_failed_installation_shows_the_output(machine: Machine) -> None:
    machine.apt_get("echo E: no such package; exit 100")
    result = machine.run("install_packages one")
    assert result.returncode == 1
    assert "E: no such package" in result.stderr
    assert not machine.policy.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_installation_deletes_its_policy_file(
    machine: Machine, number: signal.Signals, tmp_path: Path
) -> None:
    machine.apt_get("touch begun; exec sleep 60")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with machine.begin(f"export TMPDIR='{temporary}'; install_packages one") as running:
        until(lambda: machine.has("begun"))
        os.killpg(running.pid, number)
        assert running.wait(60) != 0
        until(lambda: not machine.policy.exists() and not list(temporary.iterdir()))


def test_the_policy_file_of_a_killed_run_is_deleted(machine: Machine) -> None:
    machine.apt_get("touch begun; exec sleep 60")
    with machine.begin("install_packages one") as running:
        until(lambda: machine.has("begun"))
        os.killpg(running.pid, signal.SIGKILL)
    assert machine.policy.exists()
    machine.apt_get(":")
    assert machine.run("install_packages one").returncode == 0
    assert not machine.policy.exists()


def test_a_foreign_policy_file_is_kept(machine: Machine) -> None:
    machine.policy.write_text(FOREIGN)
    assert machine.run("install_packages one").returncode == 0
    assert machine.policy.read_text() == FOREIGN


def test_of_two_installations_one_waits_for_the_other(machine: Machine) -> None:
    os.mkfifo(machine.folder / "go")
    machine.apt_get('[ "$3" != install ] || { echo "$6" >>asked; cat go >/dev/null; test -e policy; }')
    with machine.begin("install_packages one") as first:
        until(lambda: machine.has("asked"))
        with machine.begin("install_packages two") as second:
            (machine.folder / "go").write_text("")
            assert first.wait(60) == 0
            (machine.folder / "go").write_text("")
            assert second.wait(60) == 0
            for running in (first, second):
                running.communicate()
    assert (machine.folder / "asked").read_text() == "one\ntwo\n"
    assert not machine.policy.exists()


LOCKED = "echo 'E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1 (apt-get)'; exit 100"


def test_another_installation_is_waited_for(machine: Machine) -> None:
    machine.apt_get(f"[ -e tried ] || {{ touch tried; {LOCKED}; }}")
    result = machine.run("install_packages one")
    assert result.returncode == 0
    assert "waiting for its end" in result.stderr


def test_the_wait_for_another_installation_is_bounded(machine: Machine) -> None:
    machine.apt_get(LOCKED)
    result = machine.run("packages_patience=0; install_packages one")
    assert result.returncode == 1
    assert result.stderr.splitlines()[1:] == [
        "Another installation is under way on this machine: try again when it has ended."
    ]
