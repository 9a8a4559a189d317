"""The pytest plugin: fixtures for one service, for simulated runs, and for a real broker.

    saga_application  the application, resolved once: `saga_app`, SAGA_APP or [tool.choregraphie]
    harness           the service that `@pytest.mark.service("stock")` names, without a broker
    harness_for       the same for any service, external calls and settings
    simulate          random runs of the application's scenario by seed
    broker_url        a real broker: SAGA_TEST_AMQP_URL, else a container
    live_saga         the application's workers on that broker

docs/testing.md shows tests that use them.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie.application import Application
from choregraphie.errors import BadApplication
from choregraphie.resolution import resolve, scenario_of
from choregraphie.settings import Settings
from choregraphie.testing.broker import NoBroker, broker_for_tests
from choregraphie.testing.harness import ServiceHarness, open_harness
from choregraphie.testing.running import RunningSaga, running_saga

if TYPE_CHECKING:
    from choregraphie.simulator import Campaign

MakeHarness = Callable[..., ServiceHarness]
Simulate = Callable[..., "Campaign"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("saga_app", "the application that the fixtures of choregraphie test: module:NAME")
    parser.getgroup("choregraphie").addoption(
        "--saga-broker",
        choices=("required", "optional"),
        default="required",
        help="what a missing RabbitMQ is to a test that needs one: a failure (required), or a reason to skip it",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "service(name): the service that the fixture `harness` gives")


@pytest.fixture(scope="session")
def saga_application(pytestconfig: pytest.Config) -> Application:
    """The application under test. One that cannot be found or imported fails the test in one line."""
    try:
        return resolve(str(pytestconfig.getini("saga_app")) or None, os.environ, "saga_app of pytest's settings")
    except BadApplication as error:
        why = str(error)
    # Outside the handler: pytest would show the chain of errors.
    pytest.fail(why, pytrace=False)


@pytest.fixture
def harness_for(saga_application: Application, tmp_path: Path) -> Iterator[MakeHarness]:
    """`harness_for(name, externals=None, catalogue="", **settings)`: a service on a SQLite database.

    Each service has a database of its own, which one harness at a time may have open.

    `externals` is what its calls are given; `catalogue` is the TOML that fills its database instead of the
    application's own; settings are fields of the application's settings, none is read from the environment.
    """
    with contextlib.ExitStack() as opened:

        def make(name: str, externals: Any = None, catalogue: str = "", **settings: Any) -> ServiceHarness:
            if name not in saga_application.own:
                known = ", ".join(saga_application.own)
                pytest.fail(f"{saga_application.name} runs no service {name!r}; it runs {known}", pytrace=False)
            if catalogue:
                settings["catalogue"] = tmp_path / "catalogue.toml"
                settings["catalogue"].write_text(catalogue, encoding="utf-8")
            wanted = _settings(saga_application, tmp_path, **settings)
            return opened.enter_context(open_harness(saga_application.own[name], wanted, externals))

        yield make


@pytest.fixture
def harness(request: pytest.FixtureRequest, harness_for: MakeHarness) -> ServiceHarness:
    """The service that the marker `service` names, on a SQLite database of its own."""
    marker = request.node.get_closest_marker("service")
    if marker is None or len(marker.args) != 1:
        pytest.fail('name the service of `harness` with @pytest.mark.service("…")', pytrace=False)
    return harness_for(marker.args[0])


@pytest.fixture(scope="session")
def simulate(saga_application: Application) -> Simulate:
    """`simulate(seed=1, runs=1, instances=20)`: run the scenario of the application with each seed from `seed` on.

    Returns the campaign. A seed that breaks an invariant fails the test with the shrunk run: what broke, the
    steps, and a Mermaid diagram.
    """

    def run(seed: int = 1, runs: int = 1, instances: int = 20) -> "Campaign":
        # Only these tests need the simulator, and its import takes longer than most of the others.
        from choregraphie.simulator import campaign_as_text
        from choregraphie.simulator import simulate as simulate_seeds

        try:
            campaign = simulate_seeds(scenario_of(saga_application), seed, runs, instances)
            if campaign.failure is None:
                return campaign
            why = campaign_as_text(campaign)
        except BadApplication as error:
            why = str(error)
        pytest.fail(why, pytrace=False)

    return run


@pytest.fixture(scope="session")
def broker_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """The URL of a RabbitMQ for the whole session: SAGA_TEST_AMQP_URL, else a container that ends with it.

    A missing broker fails the test; with `--saga-broker=optional` the test is skipped, with the reason.
    """
    with contextlib.ExitStack() as started:
        why = ""
        try:
            url = started.enter_context(broker_for_tests(os.environ))
        except NoBroker as error:
            why = str(error)
        if why and pytestconfig.getoption("--saga-broker") == "optional":
            pytest.skip(why)
        if why:
            pytest.fail(f"{why}; --saga-broker=optional skips what needs one", pytrace=False)
        yield url


@pytest.fixture
def live_saga(saga_application: Application, broker_url: str, tmp_path: Path) -> Iterator[RunningSaga]:
    """A worker of each service of the application on the real broker, with SQLite databases of their own.

    The broker's virtual host is shared by the tests of a session, so each test takes keys of its own.
    """
    settings = _settings(saga_application, tmp_path, amqp_url=broker_url)
    with running_saga(saga_application, settings) as running:
        yield running


def _settings(application: Application, folder: Path, **settings: Any) -> Settings:
    given = {"database_url": f"sqlite:///{folder}/{{service}}.sqlite3", **settings}
    return application.with_seed(application.settings(**given))
