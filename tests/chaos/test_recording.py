"""The recorder sees from outside what the checks need: stream, dead letters, charges, mails, processes."""

from __future__ import annotations

import signal
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pika
import pytest

from choregraphie import Settings
from choregraphie.broker import open_session
from contracts.choreography import CHOREOGRAPHY
from scripts.nemesis import recorder
from scripts.nemesis.gateway import Gateway
from scripts.nemesis.history import Charge, DeadLetter, Mail, StreamEntry
from scripts.nemesis.recorder import read_mails
from scripts.nemesis.workers import Worker
from services.application import APP
from services.notification import rules
from services.notification.maildir import Maildir
from services.paiement.passerelle import PasserelleHttp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORDERED = "commande.initiee"
SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


async def test_a_dead_letter_is_recorded_from_the_stream_and_its_queue_and_when_it_is_sent_back(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(amqp_url=amqp_url)
    async with open_session(settings, "stock", APP.topology(settings)):
        pass
    monkeypatch.setattr(recorder, "STREAM_PATIENCE_SECONDS", 0.5)
    assert recorder.read_stream(amqp_url, idle_seconds=0.2) == ()
    monkeypatch.undo()
    with recorder.connect(amqp_url) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("client.events", ORDERED, b"said")
        headers = {"x-saga-reason": "exhausted", "x-saga-detail": "why"}
        channel.basic_publish("stock.dlx", ORDERED, b"given up", pika.BasicProperties(headers=headers))
    assert recorder.read_stream(amqp_url) == (
        StreamEntry("client.events", ORDERED, b"said"),
        StreamEntry("stock.dlx", ORDERED, b"given up", "exhausted"),
    )
    dead_letter = DeadLetter("stock", b"given up", "exhausted", "why")
    assert recorder.read_dead_letters(amqp_url, CHOREOGRAPHY.services) == (dead_letter,)
    assert list(recorder.redrive(amqp_url, CHOREOGRAPHY.services)) == [dead_letter]
    assert recorder.read_dead_letters(amqp_url, CHOREOGRAPHY.services) == ()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    opened = Gateway()
    yield opened
    opened.close()


async def test_the_gateway_records_every_charge_also_a_cancelled_one(gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        passerelle = PasserelleHttp(client)
        for key in ("paiement:encaisser:A", "paiement:encaisser:A", "paiement:encaisser:B:2"):
            assert (await passerelle.debiter(key, "CLIENT-A", Decimal("9.90"))).acceptee
        await passerelle.annuler("paiement:encaisser:B:2")
    assert gateway.charges() == (
        Charge("paiement:encaisser:A", "A", Decimal("9.90")),
        Charge("paiement:encaisser:B:2", "B:2", Decimal("9.90"), taken_back=True),
    )


async def test_each_mail_is_recognised_by_its_subject(tmp_path: Path) -> None:
    carrier = Maildir(tmp_path, "clients.invalid")
    sent: list[Any] = [Mail("A", "confirmation"), Mail("A", "rectificatif"), Mail("B", "annulation")]
    assert read_mails(tmp_path) == ()
    for mail in sent:
        subject, text = rules.objet(mail.modele, mail.commande_id), rules.texte(mail.modele, mail.commande_id, "")
        await carrier.envoyer(str(mail), mail.commande_id, subject, text)
    assert sorted(read_mails(tmp_path), key=str) == sorted(sent, key=str)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    with (tmp_path / "log").open("wb") as log:
        started = Worker("stock", SLEEPER, tmp_path, {}, log)
    yield started
    started.kill()
    started.wait(60)


def test_a_killed_worker_is_recorded_as_killed(worker: Worker) -> None:
    assert worker.exit_record() is None
    worker.kill()
    worker.wait(60)
    worker_exit = worker.exit_record()
    assert worker_exit is not None
    assert (worker_exit.service, worker_exit.code, worker_exit.killed, worker_exit.sigterms) == (
        "stock",
        -signal.SIGKILL,
        True,
        0,
    )


def test_the_time_that_a_worker_was_frozen_does_not_count_as_shutdown(worker: Worker) -> None:
    worker.freeze()
    worker.terminate()
    worker.terminate()
    worker.thaw()
    worker.wait(60)
    worker_exit = worker.exit_record()
    assert worker_exit is not None
    assert (worker_exit.code, worker_exit.killed, worker_exit.sigterms) == (-signal.SIGTERM, False, 2)
    assert worker_exit.seconds <= 60
