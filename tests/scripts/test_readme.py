"""What the documents say is so: the README's walk-through works as printed, its generated parts are the code's."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.generate_readme import README, picture, with_parts
from scripts.private_node import PrivateNode
from tests.scripts.conftest import ROOT, environ

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = README.read_text(encoding="utf-8")
WALK = dict(re.findall(r"<!-- walk: ([a-z ]+) -->\n```sh\n(.*?)```", TEXT, re.DOTALL))
TABLE = TEXT.partition("## Commands")[2].partition("## Settings")[0]
COMMANDS = re.findall(r"^\| `([^`]+)` \|", TABLE, re.MULTILINE)


class Terminal:
    """A shell in which a person has typed the first two lines of the walk-through."""

    def __init__(self, checkout: Path) -> None:
        self._shell = subprocess.Popen(
            ["bash"],
            cwd=checkout,
            env=environ(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._shown: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.type(WALK["every terminal"])

    @property
    def shown(self) -> str:
        return "".join(self._shown)

    def type(self, block: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(block)
        self._shell.stdin.flush()

    def shows(self, what: str, times: int = 1) -> None:
        """Wait until it has shown this so often; AssertionError says what it has shown instead."""
        deadline = time.monotonic() + 60
        while self.shown.count(what) < times:
            assert time.monotonic() < deadline, self.shown
            time.sleep(0.05)

    def leave(self) -> str:
        """Let it come to its end, and say what it has shown."""
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait(60)
        self._reader.join(10)
        return self.shown

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.killpg(self._shell.pid, signal.SIGINT)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait()
        for pipe in (self._shell.stdin, self._shell.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self._shell.stdout is not None
        self._shown.extend(iter(self._shell.stdout.readline, ""))


@pytest.fixture
def terminals(checkout: Path) -> Iterator[list[Terminal]]:
    three = [Terminal(checkout) for _ in range(3)]
    yield three
    for terminal in three:
        terminal.kill()
    PrivateNode(checkout / "var" / "rabbitmq" / "choregraphie").stop()


@pytest.mark.timeout(300)
def test_the_walk_through_works_as_printed(terminals: list[Terminal], checkout: Path) -> None:
    workers, monitor, customer = terminals
    workers.type(WALK["workers"] + "echo they are ready\n")
    workers.shows("they are ready")
    monitor.type(WALK["monitor"])
    customer.type(WALK["customer"])
    seen = customer.leave()
    first, _, second = seen.partition("COMPLETED")
    assert first, seen
    assert "COMPENSATED" in second, seen
    assert len(re.findall(r"^CMD-[0-9A-F]{16}$", seen, re.MULTILINE)) == 101, seen
    assert "whole order" in seen
    assert "paiement: comptes" in seen
    monitor.shows("\tCOMPLETED\tcommande.creee\t", times=101)
    monitor.shows("\tCOMPENSATED\t")
    monitor.interrupt()
    workers.type(WALK["end"])
    assert "Traceback" not in workers.leave() + monitor.leave() + seen
    assert not PrivateNode(checkout / "var" / "rabbitmq" / "choregraphie").running()


def test_the_walk_through_has_all_its_parts() -> None:
    assert list(WALK) == ["every terminal", "workers", "monitor", "customer", "end"]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_of_the_table_is_there(command: str) -> None:
    words = command.replace("python ", f"{sys.executable} ", 1).split()
    if words[0].startswith("./"):
        assert os.access(ROOT / words[0], os.X_OK)
        return
    # The verb without what it is about: only that is a promise of its name.
    wanted = [word for word in words if word.islower() or word.startswith("/")]
    done = subprocess.run(
        [*wanted, "--help"], cwd=ROOT, env=environ(), capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_is_generated_is_what_the_code_has() -> None:
    assert with_parts(TEXT) == TEXT, "run 'python scripts/generate_readme.py'"


def test_the_picture_shows_every_event() -> None:
    for example in (ROOT / "contracts" / "examples").glob("*.json"):
        assert f'"{example.stem}' in picture() or f"<br/>{example.stem}" in picture()


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")), ids=lambda path: path.name)
def test_files_that_a_document_names_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:\./)?(?:contracts|services|saga_monitor|scripts|tests)/[\w./-]*)", text))
    named |= set(re.findall(r"\]\((?!http)([^)#]+)\)", text)) | set(re.findall(r"`([A-Z]+\.md)`", text))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    names = {re.split(r"[\[<>=~!; ]", dependency, maxsplit=1)[0] for dependency in wanted}
    decisions = (ROOT / "DECISIONS.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z0-9, -]+) \| \S", decisions, re.MULTILINE)
    assert names == {name for row in rows for name in row.split(", ")} - {"package"}
