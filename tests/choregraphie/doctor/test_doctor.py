"""`doctor` on a live saga: nothing is wrong, then one thing at a time."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from tests.choregraphie.deployment.conftest import Done, command
from tests.support.foreign_client import ForeignClient
from tests.support.saga_fixture import saga_fixture
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.brokers import Broker
    from tests.support.saga_fixture import SagaFixture


@pytest.fixture(scope="module")
def saga(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SagaFixture]:
    """A running saga with the management, for examinations that change nothing."""
    with saga_fixture(
        broker, tmp_path_factory.mktemp("saga"), management_url=broker.management_login_url
    ) as running:
        running.start_all()
        yield running


def wrong(done: Done) -> dict[str, str]:
    """What is wrong, by the part."""
    return {one["about"]: one["what"] for one in done.json if one["verdict"] == "wrong"}


def doctor(saga: SagaFixture, **more: Any) -> Done:
    return command("doctor", "--json", **saga.settings | more)


def copy_stock(saga: SagaFixture, folder: Path) -> None:
    """Copy the database of `stock`, whose worker runs, into `folder`."""
    with sqlite3.connect(f"{saga.folder}/stock.sqlite3") as whole:
        whole.execute("VACUUM INTO ?", (f"{folder}/stock.sqlite3",))
    whole.close()


def test_of_a_saga_that_runs_nothing_is_wrong_and_every_part_is_named(saga: SagaFixture) -> None:
    done = doctor(saga)
    assert (done.code, done.err, wrong(done)) == (0, "", {})
    verdicts = {one["about"]: one["verdict"] for one in done.json}
    for about in ("topology", "inbox", "database of stock", "outbox of stock", "python", "libraries", "settings"):
        assert verdicts[about] == "ok"
    assert {"broker", "broker's clock"} <= verdicts.keys()
    assert any(about.startswith("node ") for about in verdicts)


def test_the_table_has_a_line_for_each_finding_and_counts_them(saga: SagaFixture) -> None:
    done = command("doctor", **saga.settings)
    lines = done.out.splitlines()
    assert lines[0].split() == ["verdict", "about", "found", "do"]
    assert len(lines) == len(doctor(saga).json) + 2
    assert " ok" in lines[-1]


def test_without_the_management_it_says_what_is_not_known(saga: SagaFixture) -> None:
    done = doctor(saga, management_url="")
    assert done.code == 0
    assert [one["about"] for one in done.json if one["verdict"] == "unknown"] == ["management"]


def test_a_broker_that_is_away_keeps_the_rest_from_nothing(saga: SagaFixture) -> None:
    done = doctor(saga, amqp_url="amqp://guest:guest@127.0.0.1:1/")
    assert done.code == 1
    assert wrong(done) == {"broker": "127.0.0.1:1: Connection refused"}
    assert {"database of stock": "ok", "python": "ok"}.items() <= {
        one["about"]: one["verdict"] for one in done.json
    }.items()


def test_a_user_who_may_not_ask_for_nodes_is_told_which_tag_that_takes(saga: SagaFixture, broker: Broker) -> None:
    with saga.management.identity(tags="management") as login:
        place = broker.management_login_url.rpartition("@")[2]
        done = doctor(saga, management_url=f"http://{login}@{place}")
    (unknown,) = [one for one in done.json if one["verdict"] == "unknown"]
    assert (done.code, unknown["about"]) == (0, "nodes")
    assert "monitoring" in unknown["remedy"]


def test_a_file_of_secrets_that_everybody_can_read_is_a_warning(saga: SagaFixture, tmp_path: Path) -> None:
    file = tmp_path / "amqp-url"
    file.write_text(saga.url)
    for mode, warned in ((0o644, True), (0o400, False)):
        file.chmod(mode)
        settings = {name: value for name, value in saga.settings.items() if name != "amqp_url"}
        done = command("doctor", "--json", **settings, amqp_url_file=file)
        found = [one["remedy"] for one in done.json if one["about"] == "settings" and one["verdict"] == "warning"]
        assert found == ([f"chmod 400 {file}"] if warned else [])


def test_a_stopped_worker_a_binding_too_many_and_a_dead_letter_are_wrong(broker: Broker, tmp_path: Path) -> None:
    with saga_fixture(broker, tmp_path, management_url=broker.management_login_url) as own:
        own.start_all("paiement")
        with ForeignClient(own.url) as client:
            assert client.publish("client.events", "commande.initiee", b"nothing readable")
        assert own.workers["paiement"].end() == 0
        own.foreign_client.bind("stock.inbox", "paiement.events", "#")

        def found() -> dict[str, str]:
            return wrong(doctor(own))

        until(lambda: "dead letters" in found() and "inbox" in found(), "both are counted")
        assert doctor(own).code == 1
        assert found()["inbox"].startswith("paiement.inbox: 0 consumers")
        assert found()["topology"].startswith("stock.inbox is bound to paiement.events by #")
        letters = next(one for one in doctor(own).json if one["about"] == "dead letters")
        assert letters["remedy"].startswith("'python -m services dlq list --service ")


def test_a_database_that_is_older_newer_foreign_or_damaged_is_named(saga: SagaFixture, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/{{service}}.sqlite3"
    for change, about in (
        ("UPDATE service SET runtime_version = 1", "warning"),
        ("UPDATE service SET version = 99", "wrong"),
        ("UPDATE service SET name = 'livraison'", "wrong"),
        ("DROP TABLE service", "wrong"),
    ):
        copy_stock(saga, tmp_path)
        copy = sqlite3.connect(tmp_path / "stock.sqlite3")
        with copy:
            copy.execute(change)
        copy.close()
        verdicts = {one["about"]: one["verdict"] for one in doctor(saga, database_url=url).json}
        assert (verdicts["database of stock"], verdicts["database of paiement"]) == (about, "unknown"), change
        (tmp_path / "stock.sqlite3").unlink()


def test_a_database_that_another_process_has_locked_for_writing_is_wrong(
    saga: SagaFixture, tmp_path: Path
) -> None:
    copy_stock(saga, tmp_path)
    url = f"sqlite:///{tmp_path}/{{service}}.sqlite3"
    assert "database of stock" not in wrong(doctor(saga, database_url=url))
    other = sqlite3.connect(tmp_path / "stock.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    done = doctor(saga, database_url=url)
    other.close()
    assert wrong(done)["database of stock"] == "nothing can be written: database is locked"


def test_events_that_stay_unpublished_are_wrong_and_listed_by_the_named_command(
    saga: SagaFixture, tmp_path: Path
) -> None:
    saga.await_events(saga.order(), "commande.creee", "notification.envoyee")
    copy_stock(saga, tmp_path)
    copy = sqlite3.connect(tmp_path / "stock.sqlite3")
    with copy:
        copy.execute("UPDATE outbox SET said_at = NULL, decided_at = decided_at - 600000000")
    copy.close()
    done = doctor(saga, database_url=f"sqlite:///{tmp_path}/{{service}}.sqlite3")
    assert wrong(done)["outbox of stock"].startswith("events not published: 1, the oldest for 10m")
    (remedy,) = [one["remedy"] for one in done.json if one["about"] == "outbox of stock"]
    assert "outbox list --service stock" in remedy
