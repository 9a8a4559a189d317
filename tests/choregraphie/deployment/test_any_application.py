"""The verbs of an operator serve any application: another saga, and one with several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from choregraphie.deployment import identities
from choregraphie.deployment.differences import Kind, compare
from choregraphie.deployment.live import LiveExchange, LiveQueue, LiveTopology
from choregraphie.deployment.remedies import Remedies
from choregraphie.saga.topology import HISTORY
from choregraphie.settings import Settings
from services.application import APP
from services.orchestration import ORCHESTRATED
from tests.choregraphie.deployment.conftest import DELAYS, command
from tests.support.several_sagas import SEVERAL
from voyage.application import APP as VOYAGE

if TYPE_CHECKING:
    from pathlib import Path

    from choregraphie.application import Application
    from scripts.nemesis.management import Management
    from tests.support.brokers import Broker


def test_another_application_is_set_up_exported_and_differs_in_nothing(
    broker: Broker, management: Management, prefix: str, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "amqp_url": broker.url(management.vhost),
        "management_url": broker.management_login_url,
        "retry_delays": DELAYS,
    }
    folder = str(tmp_path / "users")
    for arguments in (["users", "--into", folder, "--prefix", prefix], ["apply"], ["check", "--without-workers"]):
        done = command("topology", *arguments, application=VOYAGE, **settings)
        assert (done.code, done.err) == (0, "")
    assert {path.name for path in (tmp_path / "users").iterdir()} == {
        *VOYAGE.saga_set.services,
        *("client", "monitor", "ops", "deployer"),
    }
    export = ("topology", "export", "--passwords", folder, "--prefix", prefix)
    document = command(*export, application=VOYAGE, **settings).json
    management.import_definitions(document)
    examined = command("doctor", "--json", application=VOYAGE, **settings)
    assert [one["what"] for one in examined.json if one["about"] == "topology" and one["verdict"] != "ok"] == []


@pytest.mark.parametrize(
    ("application", "exchange", "sender"),
    [
        (ORCHESTRATED, "stock.commands", "orchestrateur"),
        (ORCHESTRATED, "stock.events", "stock"),
        (APP, "stock.events", "stock"),
    ],
)
def test_the_sender_of_what_a_lost_binding_has_cost_publishes_it_again(
    application: Application, exchange: str, sender: str
) -> None:
    wanted = application.topology(Settings())
    lost = next(one for one in wanted.bindings if one.exchange == exchange and one.queue != HISTORY)
    live = LiveTopology(
        {one.name: LiveExchange(one.type) for one in wanted.exchanges},
        {one.name: LiveQueue(one.arguments) for one in wanted.queues},
        frozenset(wanted.bindings) - {lost},
    )
    found = compare(application.saga_set, wanted, live, Remedies("saga", "/"), workers=False)
    missing = [one.remedy for one in found if one.kind is Kind.BINDING_MISSING]
    assert missing == [f"run 'saga topology apply'; then run 'saga outbox resend --service {sender} --since TIME'"]


def test_a_service_of_several_sagas_may_say_the_events_of_each() -> None:
    application = SEVERAL
    known = identities(application.saga_set, application.topology(Settings()))
    (paiement,) = [one for one in known if one.name == "paiement"]
    said = [event.TYPE for event in application.saga_set.event_types.values() if event.SAID_BY == "paiement"]
    assert len({event.SAGA for event in application.saga_set.event_types.values() if event.TYPE in said}) == 3
    assert all(type_.replace(".", r"\.") in paiement.topics[0].write for type_ in said)
