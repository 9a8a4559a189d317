"""Reports files of 250 lines or more and functions of 30 lines or more."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDERS = ("choregraphie", "contracts", "services", "saga_monitor", "scripts", "examples")
FILE_LINES, FUNCTION_LINES = 250, 30


def offences(path: Path) -> Iterator[str]:
    """One line per file or function that is too long. Docstring lines count."""
    text = path.read_text()
    if (lines := len(text.splitlines())) >= FILE_LINES:
        yield f"{path}: {lines} lines; the limit is {FILE_LINES - 1}"
    for node in ast.walk(ast.parse(text, str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length >= FUNCTION_LINES:
                place = f"{path}:{node.lineno}: {node.name}"
                yield f"{place} has {length} lines; the limit is {FUNCTION_LINES - 1}"


def sources(root: Path) -> Iterator[Path]:
    for folder in FOLDERS:
        yield from sorted((root / folder).rglob("*.py"))
    for command in sorted((root / "scripts").iterdir()):
        if command.is_file() and command.read_bytes().startswith(b"#!/usr/bin/env python3\n"):
            yield command


def main() -> int:
    found = [offence for path in sources(Path()) for offence in offences(path)]
    print("\n".join(found) or "every file and function is within the limits")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
