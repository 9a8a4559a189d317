"""The second table of each service: the same reactions hear commands, and answer with the same events."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from choregraphie import BadApplication, BadSetting, Reason, RetryOverride
from choregraphie.dead_letters.settlement import Answer, plan
from choregraphie.prover import prove
from choregraphie.resolution import load
from choregraphie.service.verdict import DeadLetter
from contracts import commands as c
from services.application import APP
from services.orchestrateur import ORCHESTRATION
from services.orchestration import ORCHESTRATED, WIRING
from services.settings import OrderSettings
from tests.services.conftest import MakeHarness
from tests.support.event_builders import CMD

if TYPE_CHECKING:
    from choregraphie.testing import ServiceHarness

WITHOUT = replace(APP, orchestrated="")
CATALOGUE = '[produits]\nPROD-456 = 10\n[clients]\nbloques = ["CLIENT-666"]\n'
RESERVE = c.StockReserver(
    commande_id=CMD, client_id="CLIENT-123", produit_id="PROD-456", quantite=2, montant=Decimal("99.99")
)


@pytest.fixture
def stock(make_harness: MakeHarness) -> ServiceHarness:
    return make_harness(ORCHESTRATED.by_name["stock"], CATALOGUE)


@pytest.fixture
def commande(make_harness: MakeHarness) -> ServiceHarness:
    return make_harness(ORCHESTRATED.by_name["commande"], CATALOGUE)


def create(client: str) -> c.CommandeCreer:
    return c.CommandeCreer(commande_id=CMD, client_id=client, montant=Decimal("99.99"))


def test_stock_holds_sells_and_releases_on_command(stock: ServiceHarness) -> None:
    stock.hear(RESERVE)
    stock.hear(c.StockVendre(commande_id=CMD))
    assert stock.inspect()["produits"]["PROD-456"]["vendu"] == 2
    stock.hear(c.StockLiberer(commande_id=CMD))
    assert stock.said == ["stock.reserve", "stock.libere"]
    assert stock.inspect()["produits"]["PROD-456"]["disponible"] == 10


def test_an_undoing_that_overtakes_its_command_leaves_a_tombstone(stock: ServiceHarness) -> None:
    stock.hear(c.StockLiberer(commande_id=CMD))
    stock.hear(RESERVE)
    assert stock.said == ["stock.libere"]
    assert stock.inspect()["produits"]["PROD-456"]["disponible"] == 10


@pytest.mark.parametrize(
    ("client", "said"), [("CLIENT-123", "commande.creee"), ("CLIENT-666", "commande.annulee")]
)
def test_commande_creates_or_refuses_on_command(commande: ServiceHarness, client: str, said: str) -> None:
    assert [event.TYPE for event in commande.hear(create(client))] == [said]


def test_a_cancelled_order_is_not_created_by_a_late_command(commande: ServiceHarness) -> None:
    annuler = c.CommandeAnnuler(commande_id=CMD, raison="délai dépassé")
    assert [event.TYPE for event in commande.hear(annuler)] == ["commande.annulee"]
    assert commande.hear(create("CLIENT-123")) == []
    assert commande.inspect()["commandes"]["annulees"] == 1


def test_a_command_that_nobody_declares_is_a_dead_letter(stock: ServiceHarness) -> None:
    delivery = stock.delivery(RESERVE)
    body = delivery.body.replace(b"stock.reserver", b"stock.inconnue")
    stock.deliver(delivery._replace(body=body, routing_key="stock.inconnue"), tolerate=True)
    assert stock.said == []
    verdict = stock.verdicts[-1]
    assert isinstance(verdict, DeadLetter)
    assert verdict.reason is Reason.UNKNOWN_TYPE


def test_both_tables_of_a_service_name_the_same_reactions_where_they_can() -> None:
    for name in ("stock", "paiement", "notification"):
        own, orchestrated = APP.by_name[name], ORCHESTRATED.by_name[name]
        assert [handler.do for handler in own.reactions] == [handler.do for handler in orchestrated.reactions]


def test_every_rule_holds_of_the_orchestrated_saga() -> None:
    proof = prove(WIRING, ORCHESTRATED.by_name)
    assert [violation.what for violation in proof.violations] == []
    assert not proof.not_checked


def test_the_payment_has_five_seconds_and_three_tries_a_second_apart() -> None:
    debiter = ORCHESTRATED.by_name["paiement"].on("paiement.debiter")
    assert debiter is not None
    assert debiter.retry.policy((0.1, 30.0)).delays == (1, 1)
    assert ORCHESTRATION.by_name["paiement"].timeout == 5
    assert {step.name for step in ORCHESTRATION.all_steps if step.timeout or step.tries} == {"paiement"}


def test_tries_at_other_times_than_declared_are_a_violation() -> None:
    paiement = ORCHESTRATED.by_name["paiement"]
    other = tuple(replace(handler, retry=RetryOverride(tries=3, delay=2)) for handler in paiement.reactions)
    services = {**ORCHESTRATED.by_name, "paiement": replace(paiement, reactions=other)}
    (violation,) = prove(WIRING, services).violations
    assert violation.what == ("paiement tries paiement.debiter 3 times, 2 s apart; declared: 3 times, 1 s apart")


def test_only_the_orchestrated_payment_has_a_retry_queue_of_its_own() -> None:
    settings = OrderSettings(retry_delays=(0.2,))
    for application, own in ((APP, set()), (ORCHESTRATED, {"paiement.retry.1"})):
        queues = {queue.name for queue in application.topology(settings).queues if ".retry." in queue.name}
        usual = {f"{service}.retry.200ms" for service in application.by_name}
        assert queues == usual | own


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"SAGA_STEP_TIMEOUTS": "paiment=3"},
            "SAGA_STEP_TIMEOUTS: no step is named paiment; the steps are stock, paiement, commande, notification",
        ),
        (
            {
                "SAGA_RETRY_DELAYS": "0.1",
                "SAGA_DEADLINE": "1",
                "SAGA_INBOX_DAYS": "2e-5",
                "SAGA_OUTBOX_DAYS": "1e-5",
            },
            "SAGA_INBOX_DAYS: not longer than SAGA_DEADLINE and the retries of paiement together",
        ),
    ],
)
def test_settings_that_do_not_fit_the_declaration_are_refused_in_one_line(
    environ: dict[str, str], said: str
) -> None:
    with pytest.raises(BadSetting) as refused:
        ORCHESTRATED.read_settings(environ)
    assert str(refused.value) == said
    APP.read_settings(environ)


def test_a_person_can_give_the_answer_to_an_undoing_that_the_orchestrator_awaits(tmp_path: Path) -> None:
    settings = OrderSettings(database_url=f"sqlite:///{tmp_path}/{{service}}.sqlite3")
    answer = Answer(WIRING, CMD, "stock", True, "put back by hand", "alice", {})
    planned = plan(ORCHESTRATED, settings, answer, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    settlement = planned.settlement
    assert (settlement.entry.action, settlement.event.type) == ("liberer", "stock.libere")
    assert settlement.undoes == ("reserver", "vendre")


def test_the_orchestrated_kind_of_an_application_that_has_none_is_refused_in_one_line() -> None:
    with pytest.raises(BadApplication, match=r"^SAGA_COORDINATION: .* has no orchestrated kind"):
        load("tests.services.test_orchestration:WITHOUT", "--app", {"SAGA_COORDINATION": "orchestration"})
