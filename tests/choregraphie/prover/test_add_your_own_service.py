"""The chapter docs/add-your-own-service.md, carried out in a copy of the repository.

A block under a file's name in backticks is that file, or a change to it (a diff: context, removed and added lines;
`@@` begins another place). A console block is run; its output must contain what the block shows, in that order,
where `…` stands for any text.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CHAPTER = ROOT / "docs" / "add-your-own-service.md"
NEEDED = ("choregraphie", "contracts", "services", "saga_monitor", "scripts", "tests", "docs")
BLOCK = re.compile(r"(?:^`(?P<path>[\w./]+)`\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    kind: str
    path: str
    text: str


def blocks() -> Iterator[Block]:
    for found in BLOCK.finditer(CHAPTER.read_text(encoding="utf-8")):
        yield Block(found["kind"], found["path"] or "", found["text"])


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the repository, to change at will."""
    for name in NEEDED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def change(path: Path, diff: str) -> None:
    text = path.read_text(encoding="utf-8")
    for hunk in re.split(r"^@@\n", diff, flags=re.MULTILINE):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        assert text.count(before) == 1, f"{path.name} has this {text.count(before)} times:\n{before}"
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")


def run(command: str, shown: str, folder: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "200"}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == (1 if "REFUSED" in shown else 0), done.stdout
    rest = done.stdout
    for part in re.split(r"…\n?", shown):
        assert part in rest, f"{command}\nshows:\n{done.stdout}\nthe chapter:\n{part}"
        rest = rest[rest.index(part) + len(part) :]


def carry_out(block: Block, folder: Path) -> None:
    if block.kind == "console":
        for entry in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, shown = entry.partition("\n")
            run(command, shown, folder)
    elif block.kind == "diff":
        change(folder / block.path, block.text)
    else:
        path = folder / block.path
        path.parent.mkdir(exist_ok=True)
        path.write_text(block.text, encoding="utf-8")


def test_the_chapter_adds_a_service_that_runs(copy: Path) -> None:
    for block in blocks():
        carry_out(block, copy)


def test_every_block_of_the_chapter_is_carried_out() -> None:
    kinds = {block.kind for block in blocks()}
    assert kinds == {"console", "diff", "json", "python"}
    assert all(block.path for block in blocks() if block.kind != "console")
