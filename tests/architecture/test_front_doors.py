"""Each package has a public interface, its `__all__` is true, and nobody imports past it."""

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOORS = [
    "choregraphie",
    "choregraphie.broker",
    "choregraphie.client",
    "choregraphie.deployment",
    "choregraphie.doctor",
    "choregraphie.pipeline",
    "choregraphie.prover",
    "choregraphie.storage",
    "choregraphie.testing",
    "choregraphie.simulator",
    *(f"services.{name}" for name in ("stock", "paiement", "commande", "notification")),
]
BUSINESS = {"stock", "paiement", "commande", "notification"}


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, by their full names; the project has no relative imports."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name}: a relative import"
            yield node.module or ""


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def is_python(path: Path) -> bool:
    """Modules, and commands without a suffix whose first line names the Python interpreter."""
    named = path.is_file() and not path.suffix and b"python" in path.read_bytes()[:60]
    return path.suffix == ".py" or named


@pytest.mark.parametrize("name", DOORS)
def test_a_front_door_is_honest(name: str) -> None:
    package = importlib.import_module(name)
    assert list(package.__all__) == sorted(package.__all__, key=lambda word: (not word.isupper(), word))
    assert len(set(package.__all__)) == len(package.__all__)
    assert [word for word in package.__all__ if not hasattr(package, word)] == []


@pytest.mark.parametrize("name", [session for session in DOORS if session.startswith("choregraphie")])
def test_a_front_door_imports_nothing_that_it_does_not_show(name: str) -> None:
    package = importlib.import_module(name)
    tree = ast.parse(Path(package.__file__ or "").read_bytes())
    imported = {a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert imported == set(package.__all__)


def test_a_service_is_written_with_the_front_door_of_the_engine_alone() -> None:
    behind = {
        f"{path.relative_to(ROOT)}: {module}"
        for name in BUSINESS
        for path in sources(f"services/{name}")
        for module in imports(path)
        if module.startswith("choregraphie.") and not module.startswith("choregraphie.saga.")
    }
    assert behind == set()


def test_a_service_is_imported_by_its_door_from_outside() -> None:
    windows = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in sources("services", "saga_monitor")
        if path.name != "application.py"
        for module in imports(path)
        if module.startswith("services.")
        and module.split(".")[1] in BUSINESS
        and len(module.split(".")) > 2
        and module.split(".")[1] not in path.parts
    }
    assert windows == set()


def test_only_the_broker_package_speaks_amqp() -> None:
    speaking = {
        path.relative_to(ROOT).parent.as_posix()
        for path in sources("choregraphie", "contracts", "services", "saga_monitor")
        for module in imports(path)
        if module.partition(".")[0] in {"aio_pika", "aiormq", "pamqp", "pika"}
    }
    assert speaking == {"choregraphie/broker", "choregraphie/broker/lean"}


def test_contracts_depend_on_pydantic_alone() -> None:
    foreign = {
        module.partition(".")[0] for path in sources("contracts") for module in imports(path)
    } - sys.stdlib_module_names
    # pydantic_core belongs to pydantic; PydanticCustomError is only there.
    assert foreign <= {"choregraphie", "contracts", "pydantic"}


def test_what_a_saga_is_depends_on_pydantic_alone() -> None:
    foreign = {
        module.partition(".")[0] for path in sources("choregraphie/saga") for module in imports(path)
    } - sys.stdlib_module_names
    assert foreign == {"choregraphie", "pydantic", "pydantic_core"}


def test_rules_are_pure() -> None:
    """Rules import events and arithmetic, and nothing that reads, writes or waits."""
    for name in BUSINESS:
        found = set(imports(ROOT / "services" / name / "rules.py"))
        assert found <= {"decimal", "collections.abc"} | {
            m for m in found if m.startswith(("choregraphie.saga.", "contracts."))
        }


def test_no_source_names_a_module_that_says_nothing() -> None:
    names = {path.stem for path in sources("choregraphie", "contracts", "services", "saga_monitor")}
    assert names.isdisjoint({"utils", "common", "helpers", "manager", "misc"})
