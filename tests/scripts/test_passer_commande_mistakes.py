"""A mistake, or a broker that is not as it should be, is one line, and nothing is said."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.scripts.conftest import say

if TYPE_CHECKING:
    import subprocess

    from tests.support.foreign_client import ForeignClient


def one_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The complaint of a command that ended with `code` and did nothing else."""
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
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
def test_a_mistake_is_one_line(arguments: list[str], complaint: str) -> None:
    # Nobody listens there: a mistake is noticed before the broker is asked.
    assert complaint in one_line(say("amqp://localhost:1/", *arguments), 2)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("amqp://localhost:1/", "the broker at localhost:1 does not answer"),
        ("http://localhost/", "SAGA_AMQP_URL: expected amqp://"),
        ("amqp://broker.invalid/", "names no user"),
    ],
)
def test_a_broker_that_cannot_be_reached_is_one_line(url: str, complaint: str) -> None:
    assert complaint in one_line(say(url), 2)


def test_a_broker_that_says_no_is_one_line(silent_url: str) -> None:
    scheme, _, rest = silent_url.partition("://")
    wrong = f"{scheme}://nobody:secret@{rest.partition('@')[2]}"
    assert "secret" not in one_line(say(wrong), 2)


def test_a_broker_without_the_exchange_is_said_plainly(amqp_url: str) -> None:
    assert "there is no exchange client.events" in one_line(say(amqp_url), 1)


def test_an_inbox_that_is_missing_is_said_plainly_although_the_history_hears(
    amqp_url: str, foreign_client: ForeignClient
) -> None:
    foreign_client.declare_exchange("client.events")
    foreign_client.declare_queue("saga.history", **{"x-queue-type": "stream"})
    foreign_client.bind("saga.history", "client.events", "#")
    foreign_client.declare_queue("commande.inbox")
    assert "there is no queue stock.inbox" in one_line(say(amqp_url), 1)


def test_a_queue_that_is_not_bound_gives_the_order_back(amqp_url: str, foreign_client: ForeignClient) -> None:
    foreign_client.declare_exchange("client.events")
    for service in ("stock", "commande"):
        foreign_client.declare_queue(f"{service}.inbox")
    done = say(amqp_url, "--commande", "CMD-BACK")
    assert (done.returncode, done.stdout) == (1, "")
    assert "1 of 1 returned by the broker: CMD-BACK" in done.stderr
