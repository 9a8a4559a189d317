"""The wheel, installed beside nothing but what it requires: what is in it, and the command `choregraphie`."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
import zipfile
from email import message_from_string
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from choregraphie.extras import EXTRAS
from tests.support import atelier
from tests.support.installation import ROOT, Installation, build_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ONLY_WITH_EXTRAS = {"apprise", "jinja2", "psycopg", "starlette", "textual", "uvicorn"}
ONLY_OF_THE_ORDER_SAGA = {"aiosmtplib"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("installed"), wheel)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds nothing but an application."""
    shutil.copy(atelier.__file__, tmp_path / "atelier.py")
    return tmp_path


def _names(requirements: Iterable[str]) -> set[str]:
    return {Requirement(line).name for line in requirements}


def test_the_wheel_holds_the_engine_and_the_monitor_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    tracked = subprocess.run(
        ["git", "ls-files", "choregraphie", "saga_monitor"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert sorted(names) == sorted(tracked.stdout.split())
    assert {"choregraphie/py.typed", "saga_monitor/py.typed"} <= {*names}


def test_what_a_worker_does_not_need_is_an_extra(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        described = message_from_string(archive.read(name).decode())
    lines = described.get_all("Requires-Dist", [])
    base = _names(line for line in lines if "extra ==" not in line)
    assert base == _names(PROJECT["dependencies"])
    assert not base & (ONLY_WITH_EXTRAS | ONLY_OF_THE_ORDER_SAGA)
    assert described["Requires-Python"] == ">=3.11"


def test_the_extras_named_in_errors_are_those_of_the_package() -> None:
    # The modules of a distribution `opentelemetry-…` are in the one namespace.
    declared = {
        extra: {name.partition("-")[0] for name in _names(lines)}
        for extra, lines in PROJECT["optional-dependencies"].items()
        if extra != "dev"
    }
    assert {extra: {*modules} for extra, modules in EXTRAS.items()} == declared


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]], ids=" ".join)
def test_help_and_version_need_no_application(
    arguments: list[str], installation: Installation, tmp_path: Path
) -> None:
    done = installation.run(tmp_path, "choregraphie", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(("usage: choregraphie", f"choregraphie {PROJECT['version']}"))


def test_an_application_in_an_empty_folder_is_checked(installation: Installation, folder: Path) -> None:
    done = installation.run(folder, "choregraphie", "--app", "atelier:APP", "check", "--json")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert json.loads(done.stdout)["holds"]


def test_a_variable_may_name_the_application(installation: Installation, folder: Path) -> None:
    done = installation.run(folder, "choregraphie", "diagram", SAGA_APP="atelier:APP")
    assert (done.returncode, done.stderr) == (0, "")
    assert "appareil.repare" in done.stdout


def test_the_project_file_may_name_the_application_for_all_folders_below(
    installation: Installation, folder: Path
) -> None:
    (folder / "pyproject.toml").write_text('[tool.choregraphie]\napp = "atelier:APP"\n')
    below = folder / "below"
    below.mkdir()
    done = installation.run(below, "choregraphie", "diagram")
    assert (done.returncode, done.stderr) == (0, "")
    assert "appareil.repare" in done.stdout


@pytest.mark.parametrize(
    "verb", [["run", "all"], ["inspect", "atelier"], ["journal", "REP-1"], ["choreography", "check"], ["asyncapi"]]
)
def test_help_of_a_verb_names_the_command(verb: list[str], installation: Installation, folder: Path) -> None:
    done = installation.run(folder, "choregraphie", "--app", "atelier:APP", *verb, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: choregraphie {verb[0]}")


def test_no_application_is_one_line(installation: Installation, tmp_path: Path) -> None:
    done = installation.run(tmp_path, "choregraphie", "check")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("choregraphie: no application is named; name one with --app module:NAME")


def test_the_monitor_answers_without_its_extras(installation: Installation, folder: Path) -> None:
    done = installation.run(folder, "choregraphie", "--app", "atelier:APP", "monitor", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "repairs" in done.stdout


def test_every_module_of_the_wheel_needs_the_extras_alone(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    installation = Installation(tmp_path_factory.mktemp("extras"), wheel, *EXTRAS)
    script = (
        "import importlib, pkgutil, choregraphie, saga_monitor\n"
        "for package in (choregraphie, saga_monitor):\n"
        "    for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(found.name)\n"
    )
    done = installation.run(tmp_path, "python", "-c", script)
    assert (done.returncode, done.stderr) == (0, "")


def needs(extra: str, program: str = "choregraphie") -> str:
    return f"{program}: this needs the extra {extra}: pip install 'choregraphie[{extra}]'\n"


def test_a_database_on_postgresql_without_its_extra_is_one_line(installation: Installation, folder: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:9/{service}"
    command = ("choregraphie", "--app", "atelier:APP", "inspect", "accueil")
    done = installation.run(folder, *command, SAGA_DATABASE_URL=url)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", needs("postgresql"))


def test_the_web_page_without_its_extra_is_one_line(installation: Installation, folder: Path) -> None:
    done = installation.run(folder, "choregraphie", "--app", "atelier:APP", "monitor", "serve")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", needs("web", "saga_monitor"))


def test_the_console_without_its_extra_is_one_line(installation: Installation, folder: Path) -> None:
    done = installation.run_on_terminal(folder, "choregraphie", "--app", "atelier:APP", "monitor")
    assert (done.returncode, done.stderr) == (2, needs("monitor", "saga_monitor"))


def test_a_worker_imports_no_screen_and_no_web_server(installation: Installation, folder: Path) -> None:
    script = (
        "import sys; from choregraphie.cli.command import main; main(['--app', 'atelier:APP', 'diagram']);"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = installation.run(folder, "python", "-c", script)
    assert done.returncode == 0, done.stderr
    assert not {*done.stderr.split()} & ONLY_WITH_EXTRAS
