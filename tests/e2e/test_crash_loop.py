"""The broker dead-letters a message that kills each worker that takes it, and no other message with it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

from choregraphie.saga.topology import WORK_DELIVERY_LIMIT
from tests.support.crash_loop import KILLER
from tests.support.workers import ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.saga_fixture import SagaFixture

OTHERS = 5


@contextlib.contextmanager
def crash_loop(saga: SagaFixture, service: str) -> Iterator[Path]:
    """Run a worker that is restarted whenever it dies. Yields its log, which has a line for each restart."""
    log = saga.folder / "crash-loop.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.crash_loop", service],
            cwd=ROOT,
            env=environment(**saga.settings),
            stdout=out,
            stderr=out,
        )
    try:
        yield log
    finally:
        process.kill()
        process.wait()


def test_a_killing_message_kills_21_times_at_most_and_other_messages_pass(stopped_saga: SagaFixture) -> None:
    saga = stopped_saga
    saga.start("paiement", "commande", "notification").await_ready()
    saga.subscription = saga.foreign_client.subscribe("client.events", "stock.events", "commande.events")
    before = [saga.order(quantite=1, montant=1) for _ in range(OTHERS)]
    killer = saga.order(client_id=KILLER)
    after = [saga.order(quantite=1, montant=1) for _ in range(OTHERS)]
    with crash_loop(saga, "stock") as log:
        dead_letter = saga.foreign_client.get("stock.dlq", within_seconds=150)
        assert dead_letter is not None, log.read_text(errors="replace")[-2000:]
        assert dead_letter.json["data"]["commande_id"] == killer
        assert dead_letter.headers["x-first-death-reason"] == "delivery_limit"
        assert log.read_text(errors="replace").splitlines().count("killed") <= WORK_DELIVERY_LIMIT + 1
        for order in (*before, *after, saga.order()):
            saga.await_events(order, "commande.creee", repeated=True)
        assert "stock.reserve" not in saga.await_events(killer, repeated=True)
        assert saga.foreign_client.count("stock.dlq") == 0
        # Ten orders took one piece each and one took two, however often they were published again.
        assert saga.inspect("stock")["produits"]["PROD-456"]["disponible"] == 1000 - 2 * OTHERS - 2
