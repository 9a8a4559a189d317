"""What a run is judged by is seen from outside: the stream, the letters, the charges, the mails, the processes."""

from __future__ import annotations

import signal
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pika
import pytest

from choregraphie import Settings
from choregraphie.application import declared_topology
from choregraphie.broker import open_session
from contracts.choreography import CHOREOGRAPHY
from scripts.nemesis import recorder
from scripts.nemesis.gateway import Gateway
from scripts.nemesis.history import Charge, DeadLetter, Mail, StreamEntry
from scripts.nemesis.recorder import read_mails
from scripts.nemesis.workers import Worker
from services.notification import rules
from services.notification.courrier import Maildir
from services.paiement.passerelle_http import PasserelleHttp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORDERED = "commande.initiee"
SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


async def test_a_letter_is_seen_in_the_stream_and_in_its_queue_and_when_it_is_sent_back(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(amqp_url=amqp_url)
    async with open_session(settings, "stock", declared_topology(CHOREOGRAPHY, settings)):
        pass
    monkeypatch.setattr(recorder, "STREAM_PATIENCE_SECONDS", 0.5)
    assert recorder.read_stream(amqp_url, idle_seconds=0.2) == ()
    monkeypatch.undo()
    with recorder.connect(amqp_url) as link:
        channel = link.channel()
        channel.confirm_delivery()
        channel.basic_publish("client.events", ORDERED, b"said")
        headers = {"x-saga-reason": "exhausted", "x-saga-detail": "why"}
        channel.basic_publish("stock.dlx", ORDERED, b"given up", pika.BasicProperties(headers=headers))
    assert recorder.read_stream(amqp_url) == (
        StreamEntry("client.events", ORDERED, b"said"),
        StreamEntry("stock.dlx", ORDERED, b"given up", "exhausted"),
    )
    letter = DeadLetter("stock", b"given up", "exhausted", "why")
    assert recorder.read_dead_letters(amqp_url) == (letter,)
    assert list(recorder.redrive(amqp_url)) == [letter]
    assert recorder.read_dead_letters(amqp_url) == ()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    opened = Gateway()
    yield opened
    opened.close()


async def test_the_gateway_remembers_what_it_charged_also_when_it_was_taken_back(gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        passerelle = PasserelleHttp(client)
        for key in ("paiement:encaisser:A", "paiement:encaisser:A", "paiement:encaisser:B:2"):
            assert (await passerelle.debiter(key, "CLIENT-A", Decimal("9.90"))).acceptee
        await passerelle.annuler("paiement:encaisser:B:2")
    assert gateway.charges() == (
        Charge("paiement:encaisser:A", "A", Decimal("9.90")),
        Charge("paiement:encaisser:B:2", "B:2", Decimal("9.90"), taken_back=True),
    )


async def test_each_mail_is_known_for_what_it_is(tmp_path: Path) -> None:
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
    started.wait(10)


def test_a_worker_that_is_killed_ended_by_our_doing(worker: Worker) -> None:
    assert worker.exit_record() is None
    worker.kill()
    worker.wait(10)
    gone = worker.exit_record()
    assert gone is not None
    assert (gone.service, gone.code, gone.killed, gone.sigterms) == ("stock", -signal.SIGKILL, True, 0)


def test_a_worker_that_is_asked_twice_while_frozen_is_not_slow(worker: Worker) -> None:
    worker.freeze()
    worker.terminate()
    worker.terminate()
    worker.thaw()
    worker.wait(10)
    gone = worker.exit_record()
    assert gone is not None
    assert (gone.code, gone.killed, gone.sigterms) == (-signal.SIGTERM, False, 2)
    assert gone.seconds <= 10
