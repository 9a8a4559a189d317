"""The demonstration counts lost and repeated orders in the databases and the history."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from scripts.demonstration import checks
from scripts.demonstration.counting import count, sentence
from scripts.demonstration.scenarios import SCENARIOS
from tests.scripts.test_demo import expected_state

if TYPE_CHECKING:
    from pathlib import Path


def test_lost_and_repeated_orders_are_counted(tmp_path: Path) -> None:
    tables = {
        "stock": "CREATE TABLE outbox (key, type)",
        "paiement": "CREATE TABLE outbox (key, type)",
        "commande": "CREATE TABLE outbox (key, type); CREATE TABLE commandes (commande_id, etat)",
        "notification": "CREATE TABLE outbox (key, type); CREATE TABLE envois (commande_id, modele)",
    }
    for service, script in tables.items():
        with contextlib.closing(sqlite3.connect(tmp_path / f"{service}.sqlite3")) as connection:
            connection.executescript(script)
    final_state = checks.FinalState(expected_state()["orders"], {}, {})
    with contextlib.closing(sqlite3.connect(tmp_path / "commande.sqlite3")) as connection, connection:
        ended = [(scenario.commande_id, "creee") for scenario in SCENARIOS[1:]]
        connection.executemany("INSERT INTO commandes VALUES (?, ?)", ended)
        connection.execute("INSERT INTO commandes VALUES (?, 'en_attente')", (SCENARIOS[0].commande_id,))
    with contextlib.closing(sqlite3.connect(tmp_path / "paiement.sqlite3")) as connection, connection:
        repeated = [(SCENARIOS[1].commande_id, "paiement.effectue")] * 2
        connection.executemany("INSERT INTO outbox VALUES (?, ?)", repeated)
    counted = count(tmp_path, SCENARIOS, final_state)
    assert counted.lost == (SCENARIOS[0].commande_id,)
    assert counted.repeated == (SCENARIOS[1].commande_id,)
    assert sentence(counted).startswith("10 orders, 1 lost, 1 carried out twice")
