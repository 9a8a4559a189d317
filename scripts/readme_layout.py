"""Lists the files of the repository with the first line of each module."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("choregraphie", "contracts", "services", "saga_monitor", "scripts")
LONGEST = 115
WIDTH = 28


def layout() -> str:
    """A code block: every folder, every module, and its first line."""
    lines = [line for folder in FOLDERS for line in _folder(ROOT / folder, 0)]
    lines += list(_tests())
    return "\n".join(["```text", *lines, "```"])


def _folder(folder: Path, depth: int) -> Iterator[str]:
    yield _line(f"{folder.name}/", depth, _first_line(folder / "__init__.py"))
    for path in sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.name)):
        if path.is_dir() and (path / "__init__.py").exists():
            yield from _folder(path, depth + 1)
        elif path.is_file() and path.name != "__init__.py" and _is_source(path):
            yield _line(path.name, depth + 1, _first_line(path))


def _tests() -> Iterator[str]:
    yield _line("tests/", 0, "")
    for folder in sorted((ROOT / "tests").iterdir()):
        if (folder / "__init__.py").exists():
            yield _line(f"{folder.name}/", 1, _first_line(folder / "__init__.py"))


def _is_source(path: Path) -> bool:
    script = not path.suffix and path.read_bytes()[:2] == b"#!"
    return script or path.suffix == ".py" or path.name == "environment"


def _first_line(path: Path) -> str:
    """What the module says of itself: its docstring's first line, or a script's first comment."""
    if not path.exists():
        return ""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py" or "python" in text.split("\n", 1)[0]:
        said = ast.get_docstring(ast.parse(text)) or ""
    else:
        said = next((line[2:] for line in text.splitlines() if line.startswith("# ")), "")
    return said.split("\n", 1)[0].rstrip(":")


def _line(name: str, depth: int, about: str) -> str:
    start = f"{'    ' * depth + name + ' ':<{WIDTH}}"
    return f"{start}{_cut(about.rstrip('.'), LONGEST - len(start))}".rstrip()


def _cut(text: str, most: int) -> str:
    """As much of a sentence as there is room for, ended where it pauses."""
    if len(text) <= most:
        return text
    pauses = [pause.start() for pause in re.finditer(r"[,;:.] ", text) if pause.start() <= most]
    return text[: pauses[-1]] if pauses else f"{text[: most - 1].rstrip()}…"
