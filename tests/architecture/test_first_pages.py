"""Every package has a first page: its `__init__` says what the package is, and names only modules that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("choregraphie", "contracts", "services", "saga_monitor", "scripts", "tests")
PAGES = sorted(
    path.relative_to(ROOT).as_posix() for name in FOLDERS for path in (ROOT / name).rglob("__init__.py")
)
MODULE = re.compile(r"\b(?:[a-z_]+/)*[a-z_]+\.py\b")


@pytest.mark.parametrize("name", PAGES)
def test_a_package_says_what_it_is(name: str) -> None:
    page = ast.get_docstring(ast.parse((ROOT / name).read_text(encoding="utf-8"))) or ""
    assert page.partition("\n")[0].endswith((".", ":")), "the first line is a sentence"


@pytest.mark.parametrize("name", PAGES)
def test_a_first_page_names_modules_that_exist(name: str) -> None:
    folder = (ROOT / name).parent
    page = ast.get_docstring(ast.parse((ROOT / name).read_text(encoding="utf-8"))) or ""
    assert {name for name in MODULE.findall(page) if not [*folder.rglob(name), *ROOT.glob(name)]} == set()
