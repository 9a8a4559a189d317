"""An application that cannot be used is one line with the place and the remedy, before anything is opened."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from choregraphie.cli.command import main
from tests.support import atelier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FROM_ATELIER = "from dataclasses import replace\nfrom tests.support.atelier import *\n"


@dataclass(frozen=True)
class Refusal:
    code: int
    line: str


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """Runs `choregraphie … run all` in an empty folder, and returns its one line of standard error.

    Afterwards: no broker was connected to, and no database was created.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})
    monkeypatch.delenv("SAGA_APP", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as broker:
        broker.setblocking(False)
        monkeypatch.setenv("SAGA_AMQP_URL", f"amqp://guest:guest@127.0.0.1:{broker.getsockname()[1]}/")
        monkeypatch.setenv("SAGA_DATABASE_URL", f"sqlite:///{tmp_path}/{{service}}.sqlite3")

        def run(*before: str, source: str | None = None) -> str:
            if source is not None:
                (tmp_path / "essai.py").write_text(source)
            code = main([*before, "run", "all"])
            shown = capsys.readouterr()
            assert (code, shown.out, shown.err.count("\n")) == (2, "", 1), shown.err
            assert shown.err.startswith("choregraphie: ")
            return shown.err.removeprefix("choregraphie: ").rstrip("\n")

        yield run
        with pytest.raises(BlockingIOError):
            broker.accept()
    assert not [*tmp_path.glob("*.sqlite3*")]


def test_no_application_is_named(refused: Callable[..., str]) -> None:
    assert refused() == (
        "no application is named; name one with --app module:NAME, with SAGA_APP, or as app in [tool.choregraphie]"
        " of pyproject.toml"
    )


@pytest.mark.parametrize("named", ["essai", "essai:", ":APP", "essai:APP:APP", "essai:A-P"])
def test_a_name_of_another_form(named: str, refused: Callable[..., str]) -> None:
    assert refused("--app", named) == f"--app: {named!r} is no module:NAME, such as services.application:APP"


@pytest.mark.parametrize("named", ["nulle_part", "nulle_part.application"])
def test_no_such_module(named: str, refused: Callable[..., str], tmp_path: Path) -> None:
    assert refused("--app", f"{named}:APP") == (
        "--app: there is no module nulle_part; correct the name, or work in the folder that holds it (this is"
        f" {tmp_path})"
    )


def test_no_such_module_inside_of_a_package(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "paquet").mkdir()
    (tmp_path / "paquet" / "__init__.py").touch()
    assert refused("--app", "paquet.manque:APP").startswith("--app: there is no module paquet.manque; correct")


def test_the_variable_is_named_as_the_place(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGA_APP", "nulle_part:APP")
    assert refused().startswith("SAGA_APP: there is no module nulle_part; ")


@pytest.mark.parametrize(
    ("source", "error", "line"),
    [
        ("APP = (\n", "SyntaxError: '(' was never closed", 1),
        ("import absent_partout\n", "ModuleNotFoundError: No module named 'absent_partout'", 1),
        ("\n1 / 0\n", "ZeroDivisionError: division by zero", 2),
        ("raise ValueError('two\\nlines')\n", "ValueError: two lines", 1),
        ("import sys\nsys.exit('no')\n", "SystemExit: no", 2),
        ("from choregraphie import Application\nAPP = Application()\n", "TypeError: Application.__init__()", 2),
        (FROM_ATELIER + "APP = replace(APP, services=ATELIER)\n", "TypeError: 'Service' object is not", 3),
        ("from sqlalchemy import create_engine\n\ncreate_engine('rien')\n", "ArgumentError: Could not parse", 3),
    ],
    ids=["syntax", "dependency", "exception", "two lines", "exit", "missing argument", "missing comma", "library"],
)
def test_a_module_that_breaks_at_its_import(
    source: str, error: str, line: int, refused: Callable[..., str], tmp_path: Path
) -> None:
    said = refused("--app", "essai:APP", source=source)
    assert said.startswith(f"--app: essai cannot be imported: {error}")
    assert said.endswith(f"essai.py, line {line}); correct it there")


@pytest.mark.parametrize(
    ("named", "source", "problem"),
    [
        ("AP", FROM_ATELIER, "has no AP; it has APP, FOREIGN"),
        ("SAGA", FROM_ATELIER, "has SAGA, which is no Application; it has APP, FOREIGN"),
        ("APP", "", "has no APP; write APP = Application(…) there"),
    ],
)
def test_an_attribute_that_is_no_application(
    named: str, source: str, problem: str, refused: Callable[..., str]
) -> None:
    assert refused("--app", f"essai:{named}", source=source) == f"--app: essai {problem}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[tool.choregraphie]\napp = 3\n", "app in [tool.choregraphie] is not a text"),
        ("[tool.choregraphie]\napp = ['essai:APP']\n", "app in [tool.choregraphie] is not a text"),
        ("[tool]\nchoregraphie = 'essai:APP'\n", "[tool.choregraphie] is not a table"),
        ("tool = 3\n", "[tool.choregraphie] is not a table"),
    ],
)
def test_a_project_file_with_another_form(
    text: str, problem: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(text)
    assert refused() == f'{file}: {problem}; write app = "package.module:APP" in it'


def test_a_project_file_that_is_no_toml(refused: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text("[tool\n")
    assert refused().startswith(f"{file}: cannot be read: ")


def test_a_project_file_that_is_nested_too_deeply(refused: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text("x = " + "[" * 10_000)
    assert refused() == f"{file}: cannot be read: nested too deeply"


def test_the_project_file_is_named_as_the_place(refused: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text('[tool.choregraphie]\napp = "essai:APP"\n')
    assert refused(source="").startswith(f"{file}: essai has no APP; ")


@pytest.mark.parametrize(
    ("change", "problem", "remedy"),
    [
        (
            "reactions=tuple(replace(r, says=(AppareilRepare, AppareilRefuse, ReparationAnnulee))"
            " if r is SAGA.reactions[0] else r for r in SAGA.reactions)",
            "atelier, hearing reparation.demandee, says reparation.annulee: accueil decides",
            "say a refusal that accueil hears, and let it decide",
        ),
        (
            "steps=(replace(SAGA.steps[0], after=Inedit), SAGA.steps[1]),"
            "reactions=(replace(SAGA.reactions[0], hears=Inedit), *SAGA.reactions[1:])",
            "atelier hears inedit, and nobody says it",
            "let a reaction of client say it, or remove this reaction",
        ),
        (
            "reactions=(replace(SAGA.reactions[0], service='ateleir'), *SAGA.reactions[1:])",
            "no service is named ateleir (its reaction to reparation.demandee)",
            "correct the name, or add the service to services=(…)",
        ),
        (
            "decider='acceuil'",
            "no service is named acceuil (its decider)",
            "correct the name, or add the service to services=(…)",
        ),
        (
            "reactions=SAGA.reactions[:-1]",
            "reparation.annulation_demandee is said by client, and nobody hears it",
            "let accueil hear it, and decide",
        ),
    ],
    ids=["two deciders", "nobody says it", "an unknown service", "an unknown decider", "nobody hears it"],
)
def test_a_declaration_that_does_not_hold(
    change: str, problem: str, remedy: str, refused: Callable[..., str]
) -> None:
    inedit = 'class Inedit(ReparationEvent):\n    TYPE = "inedit"\n    SAID_BY = "client"\n'
    services = "services=tuple(replace(s, foreign=True, reactions=(), timed=()) for s in APP.services)"
    source = f"{FROM_ATELIER}{inedit}APP = replace(APP, {services}, sagas=(replace(SAGA, {change}),))\n"
    assert refused("--app", "essai:APP", source=source) == (
        f"application reparations, saga reparation: {problem}; {remedy}"
    )


def test_a_table_of_reactions_that_is_not_the_declared_one(refused: Callable[..., str]) -> None:
    source = f"{FROM_ATELIER}APP = replace(APP, services=(replace(ATELIER, reactions=()), ACCUEIL))\n"
    assert refused("--app", "essai:APP", source=source) == (
        "application reparations, saga reparation: atelier is declared to hear reparation.demandee, and its table"
        " has no reaction to it; add on(ReparationDemandee, …) to its REACTIONS"
    )


@pytest.mark.parametrize("verb", ["check", "diagram", "asyncapi", "schemas", "promela"])
def test_what_is_drawn_or_proved_may_be_of_a_declaration_that_does_not_hold(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})
    (tmp_path / "essai.py").write_text(
        f"{FROM_ATELIER}APP = replace(APP, sagas=(replace(SAGA, final=(AppareilRendu,)),))\n"
    )
    assert main(["--app", "essai:APP", verb]) == (1 if verb == "check" else 0)
    shown = capsys.readouterr()
    assert (shown.err, bool(shown.out)) == ("", True)


def test_the_sample_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--app", f"{atelier.__name__}:APP", "check"]) == 0
