"""The documents are true: links resolve, commands and settings exist, generated parts are current."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from choregraphie import Reason
from choregraphie.cli.command import OWN_VERBS
from choregraphie.cli.main import _parser as services_parser
from choregraphie.saga import topology
from choregraphie.settings import APP_KEY
from saga_monitor.__main__ import _parser as monitor_parser
from saga_monitor.analysis.anomaly import Kind
from scripts.documentation_site import missing_files
from scripts.generate_readme import PARTS, differing, picture
from services.application import APP
from services.settings import OrderSettings
from tests.choregraphie.prover.test_add_your_own_service import run
from tests.scripts.conftest import ROOT, environ
from voyage.application import APP as VOYAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES = ("*.md", "docs/*.md", "examples/*/README.md")
DOCUMENTS = {path.relative_to(ROOT).as_posix(): path for place in PLACES for path in ROOT.glob(place)}
# These describe the past too, so files that they name may be gone.
OF_TODAY = {name: path for name, path in DOCUMENTS.items() if path.stem not in {"CHANGELOG", "DECISIONS"}}
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in DOCUMENTS.items()}
PROJECT = ROOT / "choregraphie" / "scaffold" / "project"
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The programs print these.
REFERENCE = re.compile(r"<!-- reference -->.*<!-- /reference -->", re.DOTALL)
COMMAND = re.compile(
    r"(?:python -m (?:services|saga_monitor)|python scripts/\w+\.py|\./scripts/\w+)\b[^`\n|)&;#>]*"
)
CONSOLE_COMMAND = re.compile(r"`(choregraphie [a-z][^`\n]*)`")
PLACEHOLDERS = {"SERVICE": "stock", "atelier": "stock", "OFFSET": "1207"}
# The chapter adds a service; its own test runs its commands.
CHAPTER = "docs/add-your-own-service.md"


def commands() -> Iterator[tuple[str, str]]:
    """The commands of a document, alone in backticks or in a block for a shell."""
    for name in OF_TODAY.keys() - {CHAPTER}:
        by_hand = REFERENCE.sub("", TEXTS[name])
        inline = re.findall(r"`([^`\n]+)`", FENCED.sub("", by_hand))
        shell = [text for kind, text in FENCED.findall(by_hand) if kind in {"sh", "console"}]
        for part in (*inline, *shell):
            yield from ((name, found.strip()) for found in COMMAND.findall(part))


COMMANDS = sorted(set(commands()))


@cache
def help_of(*words: str) -> str:
    done = subprocess.run(
        [*words, "--help"], cwd=ROOT, env=environ(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("document", "command"), COMMANDS)
def test_each_command_in_a_document_is_one_that_can_be_typed(document: str, command: str) -> None:
    words = [PLACEHOLDERS.get(word, word) for word in shlex.split(command)]
    if words[:2] == ["python", "-m"]:
        parsers = {"services": services_parser(APP), "voyage": services_parser(VOYAGE)}
        parser = parsers.get(words[2]) or monitor_parser(APP.saga_set)
        # `python -m services` alone means any of its commands.
        assert words[3:] == [] or parser.parse_args(words[3:])
        return
    script = [sys.executable, words.pop(1)] if words[0] == "python" else [words[0]]
    assert os.access(ROOT / script[-1], os.R_OK if len(script) > 1 else os.X_OK)
    if script[-1] == "./scripts/bench" and words[1:]:
        script.append(words[1])
    options = {word.partition("=")[0] for word in words[1:] if word.startswith("--")}
    assert {option for option in options if option not in help_of(*script)} == set()


@pytest.mark.parametrize(
    "command", sorted({found for name in OF_TODAY for found in CONSOLE_COMMAND.findall(TEXTS[name])})
)
def test_each_console_command_in_a_document_is_one_that_can_be_typed(command: str) -> None:
    _, verb, *rest = [PLACEHOLDERS.get(word, word) for word in shlex.split(command)]
    if verb == "monitor":
        monitor_parser(APP.saga_set).parse_args(rest)
    elif verb not in OWN_VERBS:
        assert services_parser(APP, flat=True).parse_args([verb, *rest])


def test_the_documents_print_the_commands_of_every_program() -> None:
    printed = " ".join(command for _, command in COMMANDS)
    services = ("run", "ready", "inspect", "journal", "outbox", "relay", "topology", "doctor", "choreography")
    monitor = ("list", "show", "report", "history", "anomalies", "letter", "serve")
    verbs = {f"services {verb}" for verb in services} | {f"saga_monitor {verb}" for verb in monitor}
    files = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix]
    scripts = {f"./scripts/{path.name}" for path in files if os.access(path, os.X_OK)}
    assert {wanted for wanted in verbs | scripts if wanted not in printed} == set()


@pytest.mark.parametrize("document", sorted(OF_TODAY.keys() - {CHAPTER}))
def test_a_console_block_shows_what_its_command_prints(document: str) -> None:
    for kind, text in FENCED.findall(TEXTS[document]):
        if kind == "console":
            for entry in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, shown = entry.partition("\n")
                run(command, shown, ROOT)


@pytest.mark.parametrize("document", sorted(DOCUMENTS))
def test_files_that_a_document_names_exist(document: str) -> None:
    text, folder = TEXTS[document], DOCUMENTS[document].parent
    outside_blocks = FENCED.sub("", text)
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", outside_blocks)
    assert [link for link in links if not (folder / link).exists()] == []
    named = set(re.findall(r"`([A-Z]+\.md)`", text))
    # Of this repository, or of the project that `choregraphie new` writes.
    assert {name for name in named if not any((place / name).exists() for place in (ROOT, PROJECT))} == set()
    assert missing_files(document) == []


def test_what_the_course_page_names_is_in_a_file_of_its_row() -> None:
    for row in TEXTS["docs/pour-qui-suit-le-cours.md"].splitlines():
        files = [ROOT / "docs" / link for link in re.findall(r"\]\(([^)#]+\.py)\)", row)]
        texts = [file.read_text(encoding="utf-8") for file in files]
        for name in re.findall(r"`((?:test)?_\w+)", row):
            assert any(f"def {name}" in text for text in texts), name


@pytest.mark.parametrize("document", sorted(OF_TODAY))
def test_settings_that_a_document_names_exist(document: str) -> None:
    known = {APP_KEY} | {f"SAGA_{name.upper()}" for name in OrderSettings.model_fields}
    named = {name.removesuffix("_FILE") for name in re.findall(r"\bSAGA_[A-Z_]*[A-Z]\b", TEXTS[document])}
    assert {name for name in named - known if not name.startswith("SAGA_TEST_")} == set()


def test_what_is_generated_is_what_the_code_has() -> None:
    assert list(differing()) == [], "run 'python scripts/generate_readme.py'"


def test_every_document_with_markers_is_generated() -> None:
    marked = {name: re.findall(r"^<!-- /(\w+) -->$", text, re.MULTILINE) for name, text in TEXTS.items()}
    marked["docs/proofs.md"].remove("spin")  # recorded apart: to make it needs SPIN and a minute
    assert {name: set(parts) for name, parts in marked.items() if parts} == {
        name: set(parts) for name, parts in PARTS.items()
    }


def test_the_picture_shows_every_event() -> None:
    for path in (ROOT / "contracts" / "examples").glob("*.json"):
        assert f'"{path.stem}' in picture() or f"<br/>{path.stem}" in picture()


def test_the_drawing_of_a_delivery_names_modules_that_exist() -> None:
    drawing = (ROOT / "docs" / "images" / "delivery.svg").read_text(encoding="utf-8")
    modules = set(re.findall(r"\b\w+\.py\b", drawing))
    assert modules
    assert {name for name in modules if not (ROOT / "choregraphie" / "pipeline" / name).exists()} == set()


def test_the_wire_names_every_header_and_every_reason() -> None:
    headers = [value for name, value in vars(topology).items() if name.endswith("_HEADER")]
    wanted = {f"`{name}`" for name in (*headers, *Reason)}
    assert {name for name in wanted if name not in TEXTS["docs/wire.md"]} == set()


def test_operations_say_what_to_do_about_every_kind_of_anomaly() -> None:
    table = TEXTS["docs/operations.md"].partition("## When something is wrong")[2]
    assert {kind for kind in Kind if f"| `{kind}`" not in table} == set()


def test_the_readme_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) < 250


def build(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Build the site of the repository in `folder` as `scripts/check` does."""
    (command,) = re.findall(r"^step documents (.+)$", (ROOT / "scripts" / "check").read_text(), re.MULTILINE)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    words = [*shlex.split(command), *options]
    return subprocess.run(
        words, cwd=folder, env=environ(PATH=path), capture_output=True, text=True, timeout=120, check=False
    )


def test_the_site_asks_no_other_server_for_anything(tmp_path: Path) -> None:
    done = build(ROOT, "--site-dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    loads = re.compile(r"<(?:link|script|img)\b[^>]*?\b(?:href|src)=[\"']?(?:https?:)?//[^\"' >]*")
    for page in tmp_path.rglob("*.html"):
        assert loads.findall(page.read_text(encoding="utf-8")) == [], page
    assert (tmp_path / "index.html").exists()


def test_a_document_that_names_what_does_not_exist_fails_the_check(tmp_path: Path) -> None:
    for name in (
        "choregraphie",
        "contracts",
        "services",
        "saga_monitor",
        "scripts",
        "tests",
        "deploy",
        "docs",
        "examples",
    ):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (*ROOT.glob("*.md"), *ROOT.glob("*.y*ml")):
        shutil.copy(path, tmp_path)
    with (tmp_path / "docs" / "proofs.md").open("a", encoding="utf-8") as document:
        document.write("\n[A page](no-page.md), [a module](../scripts/no_module.py) and `tests/no_test.py`.\n")
    done = build(tmp_path)
    assert done.returncode == 1
    assert {name for name in ("no-page", "no_module", "no_test") if name not in done.stderr} == set()


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    of_services = (ROOT / "services" / "requirements.in").read_text(encoding="utf-8").splitlines()
    wanted += [line for line in of_services if not line.startswith("#")]
    names = {re.split(r"[\[<>=~!; ]", dependency, maxsplit=1)[0] for dependency in wanted}
    rows = re.findall(r"^\| ([a-z0-9, -]+) \| \S", TEXTS["DECISIONS.md"], re.MULTILINE)
    assert names == {name for row in rows for name in row.split(", ")} - {"package"}
