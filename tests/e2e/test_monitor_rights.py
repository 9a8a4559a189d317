"""The monitor needs only the right to read the history: it publishes nothing and takes nothing from a queue."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.topology import declare_topology_at
from tests.support.workers import ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.nemesis.management import Management
    from tests.support.brokers import Broker
    from tests.support.saga_fixture import SagaFixture


def test_the_right_to_read_the_history_is_enough_to_show_every_order(
    running_saga: SagaFixture, broker: Broker, tmp_path: Path
) -> None:
    order = running_saga.order()
    running_saga.await_events(order, "commande.creee", "notification.envoyee")
    with reader(running_saga.management, broker, tmp_path) as settings:
        done = monitor("show", order, "--json", **settings)
        assert done.returncode == 0, done.stderr
        shown = json.loads(done.stdout)
        assert order in json.dumps(shown)
        assert {"commande.creee", "notification.envoyee"} <= set(json.dumps(shown).replace('"', " ").split())
        for verb in ("list", "report", "history"):
            assert monitor(verb, **settings).returncode == 0


@pytest.mark.parametrize("write", [r"^[^.]+\.(inbox|dlq|retry\..+)$", "^$"])
def test_the_right_to_count_the_queues_is_enough_to_compare_the_broker_and_nothing_is_changed(
    write: str, broker: Broker, management: Management, amqp_url: str, tmp_path: Path
) -> None:
    """With either setting of SAGA_TOPOLOGY a missing binding stays missing, and is reported.

    Before RabbitMQ 4.3 any user may count a queue; there, without a right on it, the monitor says that it may not.
    """
    declare_topology_at(amqp_url)
    management.unbind("commande.events", "saga.history", "#")
    before = management.bindings()
    with reader(management, broker, tmp_path, write=write, topology="apply") as settings:
        done = monitor("anomalies", "--json", **settings, management_url=broker.management_login_url)
    assert management.bindings() == before
    wrong = [(one["kind"], one["reason"]) for one in json.loads(done.stdout)]
    refused = write == "^$" and management.broker_version() >= (4, 3)
    assert (done.returncode, wrong) == (1, [("blind", "unbound"), *([("blind", "not_counted")] * refused)])


def test_without_any_right_the_monitor_prints_one_line_and_no_rows(
    running_saga: SagaFixture, broker: Broker, tmp_path: Path
) -> None:
    with reader(running_saga.management, broker, tmp_path, read="^$") as settings:
        for verb in ("list", "anomalies", "report"):
            done = monitor(verb, **settings)
            assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), verb
            assert "access to queue 'saga.history'" in done.stderr


@contextlib.contextmanager
def reader(
    management: Management,
    broker: Broker,
    folder: Path,
    *,
    read: str = r"^saga\.history$",
    write: str = "^$",
    topology: str = "passive",
) -> Iterator[dict[str, Any]]:
    """The settings of a monitor whose user may read what `read` matches, and has no other right than `write`."""
    with management.identity(read=read, write=write) as login:
        place = broker.authority.rpartition("@")[2]
        yield {
            "amqp_url": f"amqp://{login}@{place}/{management.vhost}",
            "topology": topology,
            "monitor_database": folder / "monitor.sqlite3",
        }


def monitor(*arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "saga_monitor", *arguments],
        cwd=ROOT,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
