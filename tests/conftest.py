"""Fixtures for every folder of tests: a real broker, and a virtual host of its own for each test."""

from __future__ import annotations

import logging
import os
import signal
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import structlog

from choregraphie import Settings
from scripts.nemesis.private_postgres import NoPostgresError, PrivatePostgres, private_postgres
from services.settings import OrderSettings
from tests.support.brokers import Broker, NoBrokerError, session_broker
from tests.support.foreign_client import ForeignClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripts.nemesis.management import Management

TESTS = Path(__file__).parent
LONGEST = ("chaos", "scripts", "saga_monitor", "e2e")
# One process runs a file: minutes of waiting in one file must not begin last.
FIRST = {"test_rotated_passwords.py", "test_rotated_monitor_passwords.py", "test_short.py"}
# Their folders come last, and they take more than a minute.
EARLY = {"test_connect_errors.py", "test_own_node.py"}
# These start nodes, clusters or the nemesis themselves.
WHOLE_NODES = {
    "test_blocked.py",
    "test_cluster.py",
    "test_command_line.py",
    "test_dead_queues.py",
    "test_failpoints.py",
    "test_orchestrators.py",
    "test_order_over_tls.py",
    "test_own_node.py",
    "test_postgres.py",
    "test_queue_problems.py",
    "test_real_mutants.py",
    "test_short.py",
}
# These start programs, or take minutes of processor time.
PROGRAMS = {
    "test_attribution.py",
    "test_add_your_own_service.py",
    "test_determinism.py",
    "test_held.py",
    "test_relay_process.py",
    "test_rendered_kubernetes.py",
    "test_http_port.py",
    "test_machine_mutants.py",
    "test_mutants.py",
    "test_new.py",
    "test_plugin.py",
    "test_private_node.py",
    "test_exhaustive.py",
    "test_serving.py",
    "test_spin.py",
    "test_spin_orchestrated.py",
    "test_sqlite_file.py",
    "test_stores.py",
    "test_terminal.py",
    "test_verbs.py",
    "test_wheel.py",
    "test_runs.py",
}

# What differs between versions of RabbitMQ: delivery counts, death headers, rights, cancelled consumers, what the
# management API says. `.ci/run` runs these on each version.
VERSIONS = {
    "test_broker_model.py",
    "test_consumer_timeout.py",
    "test_crash_loop.py",
    "test_dead_letters.py",
    "test_doctor.py",
    "test_drift.py",
    "test_export.py",
    "test_history.py",
    "test_lost_bindings.py",
    "test_monitor_rights.py",
    "test_redriven.py",
    "test_rights.py",
    "test_saga_with_users.py",
    "test_session.py",
    "test_users.py",
}


def pytest_configure() -> None:
    """On SIGINT or SIGTERM the session ends as on Ctrl-C, and stops what it started, the broker included.

    A session that a shell starts in the background ignores SIGINT by default, and so do the programs it starts.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    if lane := os.environ.get("SAGA_TEST_LANE"):
        _use_lane(lane)


def _use_lane(lane: str) -> None:
    """Messages pass by that lane in the tests and in the programs that they start, where no test names one."""
    os.environ["SAGA_LANE"] = lane
    for cls in (Settings, OrderSettings):
        cls.model_fields["lane"].default = lane
        cls.model_rebuild(force=True)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m versions` only its files are read: to read all of them takes each process four seconds."""
    if config.option.markexpr != "versions" or not collection_path.name.startswith("test_"):
        return None
    return True if collection_path.name not in VERSIONS else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by what it needs, and run the longest first, so that no core is idle at the end."""
    for item in items:
        item.add_marker(_kind(item))
        if item.path.name in VERSIONS:
            item.add_marker("versions")
    items.sort(key=_turn)


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS).parts[0]


def _kind(item: pytest.Item) -> str:
    """What a test needs: a browser, a broker, a database server, a terminal and its programs, or nothing."""
    wanted = set(getattr(item, "fixturenames", ()))
    parameters = getattr(item, "callspec", None)
    on_server = parameters is not None and (
        "postgresql" in parameters.id or "postgresql" in parameters.params.values()
    )
    if "browser" in wanted:
        return "browser"
    if item.path.name in WHOLE_NODES:
        return "chaos"
    if "broker" in wanted:
        return "broker"
    if on_server or wanted & {"postgres", "french_postgres", "tls_postgres"}:
        return "database"
    return "terminal" if _folder(item) in {"scripts", "e2e"} or item.path.name in PROGRAMS else "unit"


def _turn(item: pytest.Item) -> int:
    if item.path.name in FIRST:
        return -1
    folder = "scripts" if item.path.name in EARLY else _folder(item)
    return LONGEST.index(folder) if folder in LONGEST else len(LONGEST)


# Slow generation of examples on a busy machine is no fault of the code under test.
hypothesis.settings.register_profile(
    "project", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("project")


@pytest.fixture(autouse=True)
def logs_put_back() -> Iterator[None]:
    """Restore the logging after each test, so that the next one does not write to a closed stream."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # The default formatter prints all local variables, which takes longer than most tests.
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, plain])
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """One broker for the whole session. A missing broker fails the tests; to skip them would hide that."""
    try:
        with session_broker() as ready:
            yield ready
    except NoBrokerError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivatePostgres]:
    """One PostgreSQL for the whole session. A missing server fails the tests."""
    try:
        with private_postgres() as server:
            yield server
    except NoPostgresError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_for(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Return the URL of an empty database of a service. Each test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return lambda service: f"sqlite:///{tmp_path}/{service}.sqlite3"
    server: PrivatePostgres = request.getfixturevalue("postgres")
    made: dict[str, str] = {}

    def create(service: str) -> str:
        if service not in made:
            made[service] = f"{service}_{uuid.uuid4().hex[:12]}"
            server.create(made[service])
        return server.url(made[service])

    return create


@pytest.fixture
def management(broker: Broker) -> Iterator[Management]:
    """The management API, for a virtual host that only this test uses."""
    api = broker.management(f"test-{uuid.uuid4().hex[:12]}")
    api.create_vhost()
    yield api
    api.delete_vhost()


@pytest.fixture
def amqp_url(broker: Broker, management: Management) -> str:
    """The URL of this test's own virtual host."""
    return broker.url(management.vhost)


@pytest.fixture
def foreign_client(amqp_url: str) -> Iterator[ForeignClient]:
    """A foreign client, connected to this test's virtual host."""
    with ForeignClient(amqp_url) as client:
        yield client
