"""An exported definitions document makes an empty broker one of the application."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.choregraphie.deployment.conftest import DELAYS, Operator, Parts, command
from tests.support.foreign_client import ForeignClient
from tests.support.workers import until

if TYPE_CHECKING:
    from scripts.nemesis.management import Management

POLICY = {"queue-leader-locator": "balanced"}


def test_an_empty_broker_that_imports_the_document_differs_in_nothing(
    empty: Operator, prefix: str, management: Management
) -> None:
    done = empty.topology("export", "--prefix", prefix)
    assert done.code == 0
    assert "without a password: stock, " in done.err
    management.import_definitions(done.json)
    assert empty.differences("--without-workers") == set()
    (policy,) = management.policies()
    assert (policy["pattern"].startswith("^(saga"), policy["definition"]) == (True, POLICY)
    until(
        lambda: all(row.get("policy") == "leaders" for row in management.queues()), "each queue follows the policy"
    )


def test_the_users_of_the_document_have_the_passwords_of_the_files(
    operator: Operator, parts: Parts, management: Management
) -> None:
    document = operator.topology("export", "--passwords", str(parts.folder), "--prefix", parts.prefix).json
    for user in document["users"]:
        management.delete_user(user["name"])
    management.import_definitions(document)
    with ForeignClient(parts.url("client")) as client:
        assert client.publish("client.events", "commande.initiee", b"{}")
    password = (parts.folder / "stock" / "password").read_text().strip()
    assert password not in json.dumps(document)


def test_a_user_without_a_password_cannot_log_in(empty: Operator, prefix: str, management: Management) -> None:
    management.import_definitions(empty.topology("export", "--prefix", prefix).json)
    parts = urlsplit(empty.settings["amqp_url"])
    url = f"amqp://{prefix}stock:anything@{parts.netloc.rpartition('@')[2]}{parts.path}"
    done = command("ready", "stock", amqp_url=url, retry_delays=DELAYS)
    assert (done.code, done.err.count("\n")) == (2, 1)
