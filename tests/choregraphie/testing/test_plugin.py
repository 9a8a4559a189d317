"""The pytest plugin, as a team sees it that tests its saga with it: here the order saga."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from choregraphie.testing import plugin

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[3]
Run = Callable[..., pytest.RunResult]

CONVERSATION = """
from decimal import Decimal

import pytest

from contracts.client import CommandeInitiee

pytestmark = pytest.mark.service("stock")


def commande(quantite):
    return CommandeInitiee(
        commande_id="CMD-1", client_id="CLIENT-1", produit_id="PROD-456", quantite=quantite, montant=Decimal(60)
    )


def test_what_is_there_is_held(harness):
    harness.hear(commande(quantite=6))
    assert harness.said == ["stock.reserve"]


def test_a_shortage_is_refused_and_leaves_the_stock_unchanged(harness_for):
    harness = harness_for("stock", catalogue="[produits]\\nPROD-456 = 5")
    harness.hear(commande(quantite=6))
    assert harness.said == ["stock.reservation_echouee"]
    assert harness.inspect()["produits"]["PROD-456"]["disponible"] == 5
"""

LIVE = """
from decimal import Decimal

from contracts.client import CommandeInitiee
from contracts.commande import CommandeCreee
from contracts.notification import NotificationEnvoyee


def test_an_order_ends_created(live_saga):
    order = CommandeInitiee(
        commande_id="CMD-1", client_id="CLIENT-123", produit_id="PROD-456", quantite=2, montant=Decimal("99.99")
    )
    key = live_saga.say(order)
    said = live_saga.await_said(key, CommandeCreee, NotificationEnvoyee)
    assert "commande.annulee" not in said
    assert sorted(said) == sorted(live_saga.said(key))
"""

BROKEN = """
from dataclasses import replace

from services.application import APP as SHIPPED
from services.scenario import SCENARIO as SOUND

SCENARIO = replace(SOUND, business={"I1 stock": lambda state: ["a shelf is short"] if state.actions else []})
APP = replace(SHIPPED, scenario="broken:SCENARIO")
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run(*arguments, app=…, **files)`: write files of tests, and run pytest on them in a process of its own."""
    for name in ("SAGA_APP", "SAGA_TEST_AMQP_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # No Docker engine, whatever this machine has.
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")

    def run_pytest(*arguments: str, app: str = "services.application:APP", **files: str) -> pytest.RunResult:
        pytester.makepyprojecttoml(f'[tool.choregraphie]\napp = "{app}"\n' if app else "")
        pytester.makepyfile(**files)
        options = ("-p", "choregraphie.testing.plugin", "-p", "no:cacheprovider", "--strict-markers")
        return pytester.runpytest_subprocess(*options, *arguments)

    return run_pytest


def test_a_services_test_reads_like_a_conversation(run: Run) -> None:
    run(test_stock=CONVERSATION).assert_outcomes(passed=2)


def test_a_harness_of_ones_own_is_the_one_that_a_test_gets(run: Run) -> None:
    conftest = "import pytest\n\n@pytest.fixture\ndef harness():\n    return 'my own'\n"
    own = "def test_own(harness):\n    assert harness == 'my own'\n"
    run(conftest=conftest, test_own=own).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def test(harness): pass", 'name the service of `harness` with @pytest.mark.service("…")'),
        (
            "def test(harness_for): harness_for('livraison')",
            "services runs no service 'livraison'; it runs stock, paiement, commande, notification",
        ),
    ],
)
def test_a_service_that_is_not_named_is_one_line(run: Run, body: str, said: str) -> None:
    result = run(test_it=body)
    assert said in result.stdout.str()
    assert "Traceback" not in result.stdout.str()


def test_the_application_is_named_in_pytests_settings(run: Run) -> None:
    body = "def test(saga_application): assert saga_application.name == 'services'"
    run("-o", "saga_app=services.application:APP", app="", test_it=body).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("app", "arguments", "said"),
    [
        ("", (), "no application is named"),
        ("", ("-o", "saga_app=services"), "saga_app of pytest's settings: 'services' is no module:NAME"),
        ("nowhere:APP", (), "there is no module nowhere"),
    ],
)
def test_an_application_that_is_not_found_is_one_line(
    run: Run, app: str, arguments: tuple[str, ...], said: str
) -> None:
    result = run(*arguments, app=app, test_it="def test(saga_application): pass")
    result.assert_outcomes(errors=1)
    assert said in result.stdout.str()
    assert "Traceback" not in result.stdout.str()
    assert "During handling" not in result.stdout.str()


def test_a_seed_is_simulated(run: Run) -> None:
    body = "def test(simulate): assert simulate(seed=3, runs=2, instances=5).sagas >= 10"
    run(test_it=body).assert_outcomes(passed=1)


def test_a_seed_that_breaks_an_invariant_fails_with_the_shrunk_run(run: Run) -> None:
    result = run(app="broken:APP", broken=BROKEN, test_it="def test(simulate): simulate(instances=3)")
    result.assert_outcomes(failed=1)
    shown = result.stdout.str()
    assert "seed 1 breaks:" in shown
    assert "✗ I1 stock: a shelf is short" in shown
    assert "sequenceDiagram" in shown
    # Shrunk: one action of one client is left. pytest repeats a whole failure in its summary where CI is set.
    failure, _, _ = shown.partition("short test summary info")
    assert failure.count("client says start") == 1


def test_a_saga_runs_on_the_given_broker(run: Run, amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGA_TEST_AMQP_URL", amqp_url)
    run(test_live=LIVE).assert_outcomes(passed=1)


UNANSWERED = "SAGA_TEST_AMQP_URL: "


def test_a_missing_broker_is_a_failure(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "def test(broker_url): pass"
    result = run(test_it=body)
    result.assert_outcomes(errors=1)
    assert "no RabbitMQ for the tests: SAGA_TEST_AMQP_URL is not set" in result.stdout.str()
    monkeypatch.setenv("SAGA_TEST_AMQP_URL", "amqp://127.0.0.1:1/")
    result = run(test_it=body)
    result.assert_outcomes(errors=1)
    assert UNANSWERED in result.stdout.str()
    assert "--saga-broker=optional skips what needs one" in result.stdout.str()


def test_a_missing_broker_skips_only_where_it_is_optional(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGA_TEST_AMQP_URL", "amqp://127.0.0.1:1/")
    result = run("--saga-broker=optional", "-rs", test_it="def test(broker_url): pass")
    result.assert_outcomes(skipped=1)
    assert UNANSWERED in result.stdout.str()


def _fixtures_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list)
    }


def test_no_fixture_is_named_as_one_of_this_projects_own_tests() -> None:
    given = _fixtures_in(Path(plugin.__file__))
    assert "harness" in given
    # Each `harness` of these tests is one of their own, which comes before the plugin's.
    own = {name for file in (ROOT / "tests").rglob("*.py") for name in _fixtures_in(file)}
    assert given & own <= {"harness"}
