"""SQL is written where the databases are: in `storage`, in a service's store and in the monitor's `projection`."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALLOWED = re.compile(r"choregraphie/storage/.*|services/\w+/store\.py|saga_monitor/projection/.*")
STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE FROM|CREATE|DROP|BEGIN|COMMIT|ROLLBACK|PRAGMA)\b")
MODULES = [
    path
    for package in ("choregraphie", "contracts", "services", "saga_monitor")
    for path in sorted((ROOT / package).rglob("*.py"))
    if not ALLOWED.fullmatch(path.relative_to(ROOT).as_posix())
]


def statements(source: str) -> list[str]:
    """The string constants that begin like a statement."""
    constants = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    return [text for text in constants if isinstance(text, str) and STATEMENT.match(text)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_outside_these_places_has_no_sql(path: Path) -> None:
    assert statements(path.read_text()) == []


def test_a_statement_is_found() -> None:
    assert statements('rows = connection.execute(f"SELECT {columns} FROM orders")') == ["SELECT "]
