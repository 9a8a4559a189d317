"""`choregraphie new`: which names and folders it takes, and that what it writes is clean."""

import subprocess
import sys
from pathlib import Path

import pytest

from choregraphie.cli.new import new
from choregraphie.scaffold import write_project

ROOT = Path(__file__).parents[3]
LONG = "a" * 40


def run(folder: Path, *command: str) -> str:
    """Run a tool of this environment in `folder`. Returns what it prints when it finds something."""
    program = [sys.executable, "-m", *command]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_project_is_written_and_the_next_commands_are_shown(
    empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(["boutique"]) == 0
    shown = capsys.readouterr().out
    assert "cd boutique" in shown
    assert "python -m boutique.demander" in shown
    assert {path.name for path in empty.iterdir()} == {"boutique"}
    found = {path.name for path in (empty / "boutique").iterdir()}
    assert found >= {"README.md", "AGENTS.md", "pyproject.toml", "compose.yaml", "boutique", "tests", ".github"}
    for path in (empty / "boutique").rglob("*"):
        assert "__NAME__" not in path.name
        assert not path.is_file() or "__NAME__" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("1boutique", "begins with a letter"),
        ("ma-boutique", "lower-case letters, digits and _"),
        ("Boutique", "lower-case letters"),
        ("bôutique", "lower-case letters"),
        ("../boutique", "lower-case letters"),
        ("boutique\n", "lower-case letters"),
        ("", "lower-case letters"),
        (f"{LONG}a", "it has 41 characters, and 40 are the most"),
        ("class", "a word of Python"),
        ("match", "a word of Python"),
        ("asyncio", "hide the module of Python's standard library"),
        ("choregraphie", "hide the package"),
        ("saga_monitor", "hide the package"),
        ("sqlalchemy", "hide the package"),
        ("tests", "hide the package"),
    ],
)
def test_a_bad_name_is_one_line(name: str, why: str, empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new([name]) == 2
    written = capsys.readouterr().err
    assert written.startswith("choregraphie: ")
    assert why in written
    assert written.count("\n") == 1
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["boutique", "more"], ["--nonsense", "boutique"]], ids=" ".join)
def test_a_mistake_in_the_command_is_one_line(
    arguments: list[str], empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        new(arguments)
    assert left.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_is_there_is_never_overwritten(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (empty / "boutique").mkdir()
    (empty / "boutique" / "mine.txt").write_text("mine")
    (empty / "file").write_text("mine")
    (empty / "link").symlink_to("nowhere")
    for name in ("boutique", "file", "link"):
        assert new([name]) == 2
        assert f"{name} is there already, and nothing is overwritten" in capsys.readouterr().err
    assert [path.name for path in (empty / "boutique").iterdir()] == ["mine.txt"]
    assert {path.name for path in empty.iterdir()} == {"boutique", "file", "link"}


def test_an_empty_folder_is_filled(empty: Path) -> None:
    (empty / "boutique").mkdir()
    assert new(["boutique"]) == 0
    assert (empty / "boutique" / "README.md").exists()


def test_a_folder_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir("/proc")  # nobody writes there, not even root
    assert new(["boutique"]) == 2
    written = capsys.readouterr().err
    assert "No such file or directory" in written
    assert written.count("\n") == 1


@pytest.mark.parametrize("name", ["e", "boutique", LONG])
def test_what_is_written_is_formatted_and_clean(name: str, tmp_path: Path) -> None:
    project = write_project(name, tmp_path)
    assert run(project, "ruff", "format", "--no-cache", "--diff", ".") == ""
    assert run(project, "ruff", "check", "--no-cache", ".") == ""
    # Our own rules, which are stricter.
    ours = ("--config", str(ROOT / "pyproject.toml"), "--ignore", "I", "--per-file-ignores", "tests/**:S")
    assert run(project, "ruff", "check", "--no-cache", *ours, ".") == ""


def test_what_is_written_has_strict_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = write_project("boutique", tmp_path)
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    assert run(project, "mypy", "--cache-dir", str(ROOT / ".mypy_cache" / "scaffold")) == ""
