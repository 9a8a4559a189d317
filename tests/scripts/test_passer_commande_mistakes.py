"""A wrong option or an unusable broker gives one line, and nothing is published."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.scripts.conftest import run_passer_commande

if TYPE_CHECKING:
    import subprocess

    from tests.support.foreign_client import ForeignClient


def one_line(result: subprocess.CompletedProcess[str], code: int) -> str:
    """The only line of a command that ended with `code` and published nothing."""
    assert (result.returncode, result.stdout) == (code, "")
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--montant", "1,5"], "montant: '1,5' is not a number"),
        (["--montant", "nan"], "montant must be a number"),
        (["--montant", "0"], "montant must be greater than 0"),
        (["--montant", "1.005"], "montant must have at most 2 decimals"),
        (["--quantite", "0"], "quantite must be at least 1"),
        (["--quantite", "two"], "--quantite: 'two' is not a whole number"),
        (["--quantite", "1_0"], "--quantite: '1_0' is not a whole number"),
        (["--montant", "1_000"], "montant: '1_000' is not a number"),
        (["--rate", "1_0"], "--rate: '1_0' is not a number"),
        (["--client", ""], "client_id must have at least 1 character"),
        (["--commande", "x" * 101], "commande_id must have at "),
        (["--commande", "x" * 99, "--count", "10"], "commande_id must have at "),
        (["--count", "0"], "--count"),
        (["--rate", "0"], "--rate"),
        (["--rate", "nan"], "--rate"),
        (["--annuler", "CMD-1", "--client", "CLIENT-123"], "--annuler does not go with --client"),
        (["--annuler", ""], "commande_id must have at "),
        (["--annuler", "CMD-1", "--raison", ""], "raison must have at least 1 character"),
        (["--raison", "why"], "--raison goes with --annuler"),
        (["--file", "-", "--count", "2"], "--file does not go with --count"),
        (["--file", "nowhere.jsonl"], "nowhere.jsonl: No such file"),
        (["--file", "."], "Is a directory"),
        (["--file", os.devnull], "no order in it"),
        (["--file", "/dev/zero"], "this is no file of orders"),
        (["--skip-bad"], "--skip-bad goes with --file"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_a_wrong_option_is_one_line(arguments: list[str], message: str) -> None:
    # No broker runs there: options are checked before the connection.
    assert message in one_line(run_passer_commande("amqp://localhost:1/", *arguments), 2)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("amqp://localhost:1/", "the broker at localhost:1 does not answer"),
        ("http://localhost/", "SAGA_AMQP_URL: expected amqp://"),
        ("amqp://broker.invalid/", "names no user"),
    ],
)
def test_a_broker_that_cannot_be_reached_is_one_line(url: str, message: str) -> None:
    assert message in one_line(run_passer_commande(url), 2)


def test_a_refused_login_is_one_line(silent_url: str) -> None:
    scheme, _, rest = silent_url.partition("://")
    wrong = f"{scheme}://nobody:secret@{rest.partition('@')[2]}"
    assert "secret" not in one_line(run_passer_commande(wrong), 2)


def test_a_missing_exchange_is_named(amqp_url: str) -> None:
    assert "there is no exchange client.events" in one_line(run_passer_commande(amqp_url), 1)


def test_a_missing_inbox_is_named_although_the_history_stream_takes_the_event(
    amqp_url: str, foreign_client: ForeignClient
) -> None:
    foreign_client.declare_exchange("client.events")
    foreign_client.declare_queue("saga.history", **{"x-queue-type": "stream"})
    foreign_client.bind("saga.history", "client.events", "#")
    foreign_client.declare_queue("commande.inbox")
    assert "there is no queue stock.inbox" in one_line(run_passer_commande(amqp_url), 1)


def test_an_unbound_queue_returns_the_order(amqp_url: str, foreign_client: ForeignClient) -> None:
    foreign_client.declare_exchange("client.events")
    for service in ("stock", "commande"):
        foreign_client.declare_queue(f"{service}.inbox")
    result = run_passer_commande(amqp_url, "--commande", "CMD-BACK")
    assert (result.returncode, result.stdout) == (1, "")
    assert "1 of 1 returned by the broker: CMD-BACK" in result.stderr
