"""`passer_commande.py` publishes what its options ask for."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.client import CommandeAnnulationDemandee, CommandeInitiee
from contracts.registry import open_envelope
from tests.scripts.conftest import COMMAND, environ, run_passer_commande

if TYPE_CHECKING:
    from tests.support.foreign_client import ForeignClient

GOOD = '{"client_id": "CLIENT-123", "produit_id": "PROD-456", "quantite": 1, "montant": %s}'


def test_an_order_is_in_both_inboxes_and_its_id_on_standard_output(silent_url: str, client: ForeignClient) -> None:
    order = ["--client", "CLIENT-456", "--produit", "PROD-789", "--quantite", "3", "--montant", "150.5"]
    result = run_passer_commande(silent_url, *order)
    assert result.returncode == 0
    heard = client.get("commande.inbox", within_seconds=90)
    assert heard is not None
    envelope = open_envelope(heard.body)
    fact = envelope.data
    assert isinstance(fact, CommandeInitiee)
    assert result.stdout == f"{fact.commande_id}\n"
    assert (fact.client_id, fact.produit_id, fact.quantite, str(fact.montant)) == (
        *("CLIENT-456", "PROD-789", 3, "150.5"),
    )
    assert (heard.exchange, heard.key, envelope.source) == (
        *("client.events", "commande.initiee", "/clients/passer_commande"),
    )
    assert heard.properties.message_id == envelope.id
    assert (heard.properties.delivery_mode, heard.properties.correlation_id) == (2, fact.commande_id)
    same = client.get("stock.inbox", within_seconds=90)
    assert same is not None
    assert same.body == heard.body


def test_without_workers_a_notice_is_printed_and_the_order_waits(silent_url: str, client: ForeignClient) -> None:
    result = run_passer_commande(silent_url, "--commande", "CMD-WAITS")
    assert (result.returncode, result.stdout) == (0, "CMD-WAITS\n")
    assert "no worker of stock is running" in result.stderr
    assert "no worker of commande is running" in result.stderr
    assert client.count("stock.inbox") == 1


def test_each_of_many_orders_has_its_own_id(silent_url: str, client: ForeignClient) -> None:
    result = run_passer_commande(silent_url, "--count", "3", "--commande", "CMD-MANY")
    assert result.stdout.split() == ["CMD-MANY-1", "CMD-MANY-2", "CMD-MANY-3"]
    anonymous = run_passer_commande(silent_url, "--count", "600").stdout.split()
    assert len(set(anonymous)) == 600
    assert client.count("stock.inbox") == 603


def test_the_rate_is_not_exceeded(silent_url: str, client: ForeignClient) -> None:
    began = time.monotonic()
    assert run_passer_commande(silent_url, "--count", "30", "--rate", "20").returncode == 0
    assert time.monotonic() - began > 1.3
    assert client.count("stock.inbox") == 30


def test_json_is_one_object_per_line(silent_url: str, client: ForeignClient) -> None:
    result = run_passer_commande(silent_url, "--count", "2", "--commande", "CMD-JSON", "--json")
    known = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(k["commande_id"], k["type"]) for k in known] == [
        ("CMD-JSON-1", "commande.initiee"),
        ("CMD-JSON-2", "commande.initiee"),
    ]
    heard = client.get("stock.inbox", within_seconds=90)
    assert heard is not None
    assert heard.properties.message_id == known[0]["event_id"]


def test_a_cancellation_goes_to_the_decider_alone(silent_url: str, client: ForeignClient) -> None:
    result = run_passer_commande(silent_url, "--annuler", "CMD-GONE", "--raison", "changé d'avis")
    assert (result.returncode, result.stdout) == (0, "CMD-GONE\n")
    assert "stock" not in result.stderr
    assert result.stderr.splitlines()[-1] == (
        "passer_commande: the demand is published; it has no effect unless there is an order CMD-GONE"
        " (see `python -m saga_monitor show CMD-GONE`)"
    )
    heard = client.get("commande.inbox", within_seconds=90)
    assert heard is not None
    fact = open_envelope(heard.body).data
    assert fact == CommandeAnnulationDemandee(commande_id="CMD-GONE", raison="changé d'avis")
    assert client.count("stock.inbox") == 0


def test_a_file_of_orders_is_published_line_by_line(
    silent_url: str, client: ForeignClient, tmp_path: Path
) -> None:
    file = tmp_path / "orders.jsonl"
    named = GOOD.replace("{", '{"commande_id": "CMD-NAMED", ', 1)
    file.write_text("\ufeff" + "\n\n".join([named % "0.1", GOOD % "1000000"]) + "\n", encoding="utf-8")
    result = run_passer_commande(silent_url, "--file", "orders.jsonl", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[0] == "CMD-NAMED"
    assert client.count("stock.inbox") == 2
    piped = run_passer_commande(silent_url, "--file", "-", stdin=GOOD % "12.34")
    assert piped.returncode == 0
    assert client.count("stock.inbox") == 3


BAD = [
    ("nonsense", "not JSON"),
    ("[1]", "not a JSON object"),
    (GOOD % "NaN", "not JSON"),
    (GOOD % "-1", "montant must be greater than 0"),
    (GOOD % "1.001", "montant must have at most 2 decimals"),
    (GOOD % '"5"', "montant must be a number"),
    (GOOD.replace("quantite", "quantity") % "5", "quantite is missing"),
    (GOOD.replace("CLIENT-123", "\\u0000") % "5", "client_id holds a character that is not allowed"),
    ("[" * 100_000, "not JSON"),
]


def test_a_bad_line_is_named_by_its_number_and_nothing_is_published(
    silent_url: str, client: ForeignClient, tmp_path: Path
) -> None:
    file = tmp_path / "orders.jsonl"
    file.write_text("\n".join([GOOD % "5", *(line for line, _ in BAD)]), encoding="utf-8")
    result = run_passer_commande(silent_url, "--file", str(file))
    assert (result.returncode, result.stdout) == (2, "")
    messages = result.stderr.splitlines()
    for number, (message, (_, reason)) in enumerate(zip(messages, BAD, strict=False), start=2):
        assert f"line {number}: {reason}" in message
    assert f"nothing was published: {len(BAD)} bad lines" in messages[-1]
    assert client.count("stock.inbox") == 0
    result = run_passer_commande(silent_url, "--file", str(file), "--skip-bad")
    assert (result.returncode, len(result.stdout.split())) == (0, 1)
    assert client.count("stock.inbox") == 1


def test_a_repeated_id_in_a_file_is_a_bad_line(silent_url: str, client: ForeignClient) -> None:
    line = GOOD.replace("{", '{"commande_id": "CMD-TWICE", ', 1) % "5"
    result = run_passer_commande(silent_url, "--file", "-", stdin=f"{line}\n{line}\n")
    assert "line 2: commande_id: the same as on line 1" in result.stderr
    assert result.returncode == 2
    assert client.count("stock.inbox") == 0


def test_a_closed_output_pipe_reports_how_many_were_published(silent_url: str, client: ForeignClient) -> None:
    command = [sys.executable, str(COMMAND), "--count", "2000", "--rate", "50"]
    env = environ(SAGA_AMQP_URL=silent_url)
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline()
        running.stdout.close()
        assert running.stderr is not None
        message = running.stderr.read().splitlines()[-1]
    assert running.returncode == 1
    published = client.count("stock.inbox")
    assert message == f"passer_commande: nobody reads the ids any more: {published} of 2000 were published"


def test_a_terminal_shows_a_progress_bar(silent_url: str, client: ForeignClient) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, str(COMMAND), "--count", "60", "--rate", "100"]
    env = environ(SAGA_AMQP_URL=silent_url, TERM="xterm")
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=theirs, text=True) as running:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        assert running.stdout is not None
        assert len(running.stdout.read().split()) == 60
    os.close(ours)
    assert b"60/60" in shown
    assert client.count("stock.inbox") == 60


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        # Linux reports EIO when the other end is closed.
        return b""


def test_a_full_output_reports_how_many_were_published(silent_url: str, client: ForeignClient) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, str(COMMAND)],
            env=environ(SAGA_AMQP_URL=silent_url),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    message = result.stderr.splitlines()[-1]
    assert result.returncode == 1
    assert client.count("stock.inbox") == 1
    why = "the ids cannot be written (No space left on device)"
    assert message == f"passer_commande: {why}: 1 of 1 were published"
